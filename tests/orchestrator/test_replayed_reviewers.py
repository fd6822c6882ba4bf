"""Three reviewers and a summary, played by a real replay server over a real protocol."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from amelia.contract import events as e
from amelia.contract.workflow import Profile
from amelia.drivers import factory
from amelia.orchestrator.job import Limits

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - call:
          submit_plan:
            summary: Write them.
            tasks: [{id: write, title: Write them, description: all of them}]
  - agent: developer
    task: write
    turns:
TURNS
      - call: {finish_task: {summary: written}}
  - agent: summary
    task: developer-write
    turns: [{say: f0 to f5 are written}, {say: f0 to f8 are written}, {say: more}, {say: more}]
  - agent: developer
    task: review
    round: 2
    turns:
      - call: {write_file: {path: f0.py, content: "y = 1\\n"}}
      - call: {finish_task: {summary: renamed}}
  - agent: reviewer
    repeat: true
    turns: [{call: {submit_review: {approved: true, summary: fine}}}]
  - agent: reviewer
    task: usability
    turns:
      - call: {read_file: {path: f0.py}}
      - call:
          submit_review:
            approved: false
            summary: x is no name
            comments: [{severity: major, message: name it for what it is, file: f0.py, line: 1}]
"""
TURN = '      - call: {write_file: {path: f%d.py, content: "%s"}}'


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "conversation.yaml"
    turns = "\n".join(TURN % (n, f"x = {n}\\n" * 500) for n in range(12))
    file.write_text(CONVERSATION.replace("TURNS", turns))
    command = [sys.executable, "-m", "amelia_replay", "--port", "0", "--conversation", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


async def test_a_conversation_file_plays_each_reviewer_and_every_turn_after_a_summary(
    world: "World", replay: str
) -> None:
    environ = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": replay}
    world.driver = factory.create("api:anthropic", environ=environ)  # type: ignore[assignment]
    world.profile = Profile(strategy="competitive")
    world.limits = Limits(context_tokens=16_000)
    try:
        ended = await world.approved()
    finally:
        await world.driver.aclose()
    assert ended.result == "success", ended.cause
    first, second = world.heard.of(e.ReviewCompleted)
    [comment] = first.verdict.comments
    assert comment.message == "[usability] name it for what it is"
    assert second.verdict.summary == "security, performance, usability (approved): fine"
    assert {a.task_id for a in world.heard.of(e.AgentCompleted) if a.agent == "reviewer"} == {
        "security",
        "performance",
        "usability",
    }
    files = await world.handed_in()
    assert {f"f{n}.py" for n in range(12)} <= files.keys() and files["f0.py"] == "y = 1"
    async with httpx.AsyncClient() as client:
        asked = (await client.get(f"{replay}/_requests")).json()["requests"]
    summaries = [one["turn"] for one in asked if one["label"]["agent"] == "summary"]
    assert summaries and summaries == list(range(1, len(summaries) + 1))
    turns = [one["turn"] for one in asked if one["label"]["task"] == "write"]
    assert turns == list(range(1, 14))
