"""The documentation's own example is one that works."""

import re
from pathlib import Path

import msgspec
import yaml

from amelia.contract.plan import Plan, Verdict
from amelia.domain.plan import check_plan
from amelia.tools.toolbox import READING, WRITING
from amelia_replay.reading import read

PAGE = Path(__file__).parents[2] / "docs" / "conversations.md"


def test_the_example_is_a_conversation_file(tmp_path: Path) -> None:
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S) if "version: 1" in block)
    file = tmp_path / "example.yaml"
    file.write_text(example)
    assert len(read(file).conversation.conversations) == 3
    architect, _, reviewer = yaml.safe_load(example)["conversations"]
    check_plan(msgspec.convert(architect["turns"][-1]["call"]["submit_plan"], Plan))
    assert msgspec.convert(reviewer["turns"][-1]["call"]["submit_review"], Verdict).approved


def test_every_tool_of_the_agents_is_described() -> None:
    text = PAGE.read_text()
    for name in {*READING, *WRITING, "finish_task", "submit_plan", "submit_review"}:
        assert f"| `{name}` |" in text
