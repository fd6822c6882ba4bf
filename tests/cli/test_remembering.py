"""What a workflow here has learnt is told to the next one."""

import json
from pathlib import Path

import pytest

from .conftest import Amelia

LESSON = "The total is computed in total.py."
CONVERSATION = f"""
version: 1
conversations:
  - agent: architect
    turns:
      - call: {{remember: {{topic: layout, text: "{LESSON}"}}}}
      - call:
          submit_plan:
            summary: Round once.
            tasks: [{{id: round-once, title: Round once, description: At the end., dependencies: []}}]
"""


@pytest.mark.usefixtures("repository")
def test_a_lesson_reaches_the_next_workflow_here(
    process: Amelia, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMELIA_DRIVER", "api:bedrock")
    conversation = tmp_path / "conversation.yaml"
    conversation.write_text(CONVERSATION)
    told: list[bool] = []
    for name in ("one", "two"):
        Path(f"{name}.md").write_text(f"# Issue {name}\n")
        ran = process("start", f"{name}.md", "--replay", str(conversation))
        assert ran.code == 0, ran.err
        view = json.loads(process("workflows", "list", "--local", "--output", "json").out)["items"][0]
        kept = process("workflows", "artifacts", view["id"], "transcript-architect-1.jsonl", "--local")
        told.append("agents noted about this repository" in kept.out)
    listed = json.loads(process("memory", "list", "--local", "--repo", ".", "--output", "json").out)["items"]
    assert [(item["topic"], item["text"]) for item in listed] == [("layout", LESSON)]
    assert told == [False, True]
