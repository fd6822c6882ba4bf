"""A workflow that was worked here, made a conversation file, and played again."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.drivers.base import ToolCall
from amelia_cli.conversing import Held, Spoken
from amelia_cli.divergence import divergences
from amelia_cli.plainly import yaml_of
from amelia_cli.volatile import lasting
from amelia_replay.plainyaml import parse
from amelia_replay.reading import read

from ..client.pretend_fleet import PretendFleet
from .conftest import Amelia

CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - call: {read_file: {path: total.py}}
      - call:
          submit_plan:
            summary: Round once.
            tasks:
              - {id: round-once, title: Round once, description: At the end., verification: grep -q int total.py}
              - {id: say-so, title: Say so, description: In the notes.}
              - {id: say-more, title: Say more, description: In the notes too., dependencies: [say-so]}
  - agent: developer
    task: round-once
    turns:
      - say: I look first.
        latency: 0.3
        call: [{read_file: {path: total.py}}, {read_file: {path: rates.txt}}]
      - call: {edit_file: {path: total.py, old: round, new: int}}
      - call: {run_command: {command: "cat *.md total.py; date +%H:%M:%S"}}
      - call: {finish_task: {summary: Rounds once.}}
  - agent: developer
    task: say-so
    turns:
      - call: {write_file: {path: NOTES.md, content: "# Notes\\n\\n  Once.\\n"}}
      - call: {finish_task: {summary: Said.}}
  - agent: developer
    task: say-more
    turns:
      - call: {run_command: {command: ls; cat NOTES.md}}
      - call: {write_file: {path: MORE.md, content: "More.\\n"}}
      - call: {finish_task: {summary: Said more.}}
  - agent: reviewer
    turns:
      - call: {submit_review: {approved: false, summary: Too short., comments: [{severity: major, message: more}]}}
  - agent: developer
    task: review
    round: 2
    turns:
      - call: {write_file: {path: MORE.md, content: "Much more.\\n"}}
      - call: {finish_task: {summary: Longer now.}}
  - agent: reviewer
    round: 2
    turns:
      - call: {submit_review: {approved: true, summary: Good.}}
"""


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def worked(repository: Path, tmp_path: Path, process: Amelia) -> str:
    """The id of a workflow of several tasks and a review that sends work back."""
    (repository / "rates.txt").write_text("7\n")
    git("add", "-A")
    git("commit", "-q", "-m", "rates")
    conversation = tmp_path / "conversation.yaml"
    conversation.write_text(CONVERSATION)
    ran = process("start", "issue.md", "--replay", str(conversation), "--auto-approve", "--wait", "--output", "json")
    ended = json.loads(ran.out)
    assert (ran.code, ended["status"]) == (0, "completed"), ended
    return str(ended["id"])


def test_what_was_worked_is_exported_goes_the_same_way_again_and_diverges_where_the_repository_does(
    worked: str, process: Amelia, amelia: Amelia, tmp_path: Path, repository: Path
) -> None:
    file = tmp_path / "exported.yaml"
    exported = amelia("workflows", "export", worked, "--local", "-o", str(file))
    assert (exported.code, "7 conversations" in exported.out) == (0, True), exported.err
    conversation = read(file).conversation
    assert conversation.recorded is not None
    assert (conversation.recorded.result, conversation.recorded.commit) == ("completed", git("rev-parse", "main"))
    played = {(s.agent, s.task, s.round): s for s in conversation.conversations}
    assert set(played) == {
        *(("architect", "*", 1), ("reviewer", "*", 1), ("reviewer", "*", 2), ("developer", "review", 2)),
        *(("developer", task, 1) for task in ("round-once", "say-so", "say-more")),
    }
    looked = played["developer", "round-once", 1].turns
    assert [tool for tool, _ in looked[0].calls] == ["read_file", "read_file"]
    assert looked[1].after == ["total = round\n", "7\n"]
    assert looked[0].say == "I look first."

    again = process("rerun", str(file), "--strict")
    assert (again.code, "goes the same way: 7 conversations, 15 turns, completed" in again.out) == (0, True), again.out
    assert git("branch", "--list", "amelia*").count("amelia") == 1, "the repository is left alone"

    (repository / "rates.txt").write_text("8\n")
    git("commit", "-qam", "other rates")
    other = process("rerun", worked, "--local", "--base", "main", "--output", "json")
    found = json.loads(other.out)
    assert (other.code, found["divergences"]) == (
        1,
        [
            {
                "where": "developer, task round-once, round 1, turn 2",
                "what": "the result of read_file",
                "before": "7\n",
                "now": "8\n",
            }
        ],
    )

    usage_is_told_by_agent_and_task(worked, amelia)


def test_what_the_model_refused_goes_the_same_way_whatever_the_file_is_called(
    repository: Path, process: Amelia, amelia: Amelia, tmp_path: Path
) -> None:
    conversation = tmp_path / "c.yaml"
    plan, _, rest = CONVERSATION.partition("  - agent: developer\n")
    assert "run_command" in rest
    conversation.write_text(
        plan
        + """\
  - {agent: developer, task: round-once, turns: [{say: I look first., call: {read_file: {path: total.py}}}]}
  - {agent: developer, task: say-so, turns: [{call: {finish_task: {summary: Said., gave_up: true}}}]}
"""
    )
    play = ("start", "issue.md", "--replay", str(conversation), "--auto-approve", "--wait", "--output", "json")
    process(*play)
    ended = json.loads(process(*play, "--retry").out)
    assert (ended["status"], "c.yaml has no conversation" in ended["reason"]) == ("failed", True), ended

    file = tmp_path / "exp.yaml"
    assert amelia("workflows", "export", ended["id"], "--local", "-o", str(file)).code == 0
    again = process("rerun", str(file), "--strict")
    assert (again.code, "goes the same way" in again.out) == (0, True), again.out


def usage_is_told_by_agent_and_task(worked: str, amelia: Amelia) -> None:
    view = json.loads(amelia("workflows", "usage", worked, "--local", "--output", "json").out)
    assert set(view["agents"]) == {"architect", "developer", "reviewer"}
    assert set(view["tasks"]) == {"", "round-once", "say-so", "say-more", "review"}
    for sums in (view["agents"], view["tasks"], view["models"], view["attempts"]):
        assert sum(money["input_tokens"] for money in sums.values()) == view["spent"]["input_tokens"]
    table = amelia("workflows", "usage", worked, "--local").out.splitlines()
    assert table[0].split() == [
        "AGENT",
        "TASK",
        "MODEL",
        "INPUT",
        "OUTPUT",
        "CACHE",
        "READ",
        "CACHE",
        "WRITTEN",
        "COST",
    ]
    assert [line.split()[:2] for line in table[2:4]] == [["developer", "review"], ["developer", "round-once"]]
    assert amelia("workflows", "usage", worked, "--local", "--by", "task").out.splitlines()[0].startswith("TASK")


def test_a_file_that_tells_of_no_workflow_and_an_id_that_is_none_are_refused(amelia: Amelia, tmp_path: Path) -> None:
    file = tmp_path / "conversation.yaml"
    file.write_text(CONVERSATION)
    ran = amelia("rerun", str(file))
    assert (ran.code, "amelia workflows export" in ran.err) == (2, True)
    ran = amelia("rerun", "wf-none", "--local")
    assert (ran.code, "there is neither a file nor a workflow 'wf-none'" in ran.err) == (4, True)


def held(agent: str, *turns: Spoken, task: str = "", ended: str = "accepted") -> Held:
    return Held(
        agent=agent, task=task, round=1, system="", tools=(), turns=turns, summaries=(), ended=(ended,) if ended else ()
    )


def spoken(after: str, *tools: str) -> Spoken:
    return Spoken(after=(after,), say="", calls=tuple(ToolCall("", tool, {}) for tool in tools))


@pytest.mark.parametrize(
    ("now", "place", "what", "came"),
    [
        ([spoken("opening", "search"), spoken("3 hits", "finish")], "", "", ""),
        ([spoken("other", "search"), spoken("3 hits", "finish")], "", "", ""),
        ([spoken("opening", "search"), spoken("2 hits", "finish")], ", turn 2", "the result of search", "2 hits"),
        ([spoken("opening", "search")], ", turn 2", "the turn", "accepted"),
        (
            [spoken("opening", "search"), spoken("3 hits", "finish"), spoken("no", "finish")],
            ", turn 3",
            "the turn",
            "finish {}",
        ),
    ],
)
def test_the_first_difference_of_a_conversation_is_named(now: list[Spoken], place: str, what: str, came: str) -> None:
    before = held("developer", spoken("opening", "search"), spoken("3 hits", "finish"), task="fix")
    found = [(one.where, one.what, one.now) for one in divergences([before], [held("developer", *now, task="fix")])]
    assert found == ([(f"developer, task fix, round 1{place}", what, came)] if what else [])


def test_what_ended_otherwise_or_was_not_held_at_all_is_named() -> None:
    turn = spoken("opening", "finish")
    before = [held("architect", turn), held("developer", turn, task="a"), held("reviewer", turn)]
    now = [
        held("architect", turn),
        held("developer", turn, task="a", ended="it fails"),
        held("developer", turn, task="b"),
    ]
    assert [(one.where, one.what, one.now) for one in divergences(before, now)] == [
        ("developer, task a, round 1, after turn 1", "the result of finish", "it fails"),
        ("reviewer, round 1", "the conversation", "was not held"),
        ("developer, task b, round 1", "the conversation", "finish {}"),
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, VALUES | st.from_regex(r"(?:[-+ ]?[\d.eE:_~]+|\s*\w+:?\s*\n*)+"), max_size=4))
def test_what_is_written_is_read_as_it_was(document: dict[str, object]) -> None:
    assert parse(yaml_of(document))[0] == document


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ran 3 tests in 0.001s", "Ran 3 tests in 1.2s"),
        ("[main 1a2b3c4] Round once", "[main 99ffee0] Round once"),
        ("in /tmp/tmpab12/x.py: no", "in /tmp/tmpzz99/x.py: no"),
        ("at 2027-01-15T09:30:00.000Z", "at 2027-02-15 10:30:00"),
        ("<A object at 0x7f01>", "<A object at 0x8e02>"),
        ("rootdir: /var/lib/x/work/tree", "rootdir: /root/y/work2/tree"),
        ("duration_ms 1.25", "duration_ms 9"),
    ],
)
def test_what_is_another_one_each_time_is_no_difference(one: str, other: str) -> None:
    assert lasting(one) == lasting(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 passed", "2 passed"),
        ("exit code 0", "exit code 1"),
        ("total 1000000", "total 1000001"),
        ("src/tree.py", "a"),
    ],
)
def test_what_matters_is_a_difference(one: str, other: str) -> None:
    assert lasting(one) != lasting(other)


@pytest.mark.parametrize("name", ["nofile.yaml", "wf-0123"])
def test_what_is_neither_a_file_nor_a_workflow_is_told_as_such(amelia: Amelia, fleet: PretendFleet, name: str) -> None:
    ran = amelia("rerun", name)
    assert (ran.code, f"there is neither a file nor a workflow '{name}'" in ran.err) == (4, True), ran.err
