"""``amelia start`` in this process: real agents, tools and git, a played model."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from .commands import Commands
from .conftest import Amelia, Answering

CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - call:
          submit_plan:
            summary: Round once.
            tasks: [{id: round-once, title: Round once, description: At the end., dependencies: []}]
  - agent: developer
    task: round-once
    turns:
      - say: I change it.
        latency: LATENCY
        call: {edit_file: {path: total.py, old: round, new: int}}
      - call: {finish_task: {summary: Rounds once.}}
  - agent: reviewer
    turns:
      - call: {submit_review: {approved: true, summary: Good.}}
"""


@pytest.fixture
def conversation(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMELIA_DRIVER", "api:bedrock")
    path = tmp_path / "conversation.yaml"
    path.write_text(CONVERSATION.replace("LATENCY", "0"))
    return path


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_an_issue_becomes_a_branch_with_the_approval_given_later(interpreter: Amelia, conversation: Path) -> None:
    start = ["start", "issue.md", "--replay", str(conversation)]
    first = interpreter(*start)
    assert (first.code, "--auto-approve" in first.err) == (0, True), first.err
    assert "the plan of 1 task waits for approval" in first.out

    wanted = Path("issue.md").read_text()
    Path("issue.md").write_text("# Something else\n")
    conflict = interpreter(*start)
    assert (conflict.code, "has changed since" in conflict.err) == (5, True)
    Path("issue.md").write_text(wanted)

    second = interpreter(*start, "--auto-approve", "--wait", "--output", "json")
    ended = json.loads(second.out)
    assert (second.code, ended["status"], ended["attempt"]) == (0, "completed", 2), second.err
    assert git("rev-parse", ended["branch"]) == ended["commit"]
    assert git("show", f"{ended['branch']}:total.py") == "total = int"
    assert git("status", "--porcelain") == ""

    third = interpreter(*start)
    assert (third.code, "--new begins again" in third.err) == (0, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_was_interrupted_goes_on_where_it_was(
    commands: Commands, conversation: Path, tmp_path: Path, number: signal.Signals
) -> None:
    conversation.write_text(CONVERSATION.replace("LATENCY", "60"))
    start = ["start", "issue.md", "--auto-approve", "--replay", str(conversation)]
    reading, writing = os.pipe()
    with (tmp_path / "err").open("w+") as err, os.fdopen(reading) as out:
        with commands.start(start, err.fileno(), writing, err.fileno()) as running:
            os.close(writing)
            for line in out:
                if "developer (round-once) starts" in line:
                    break
            locked = commands.run(*start)
            assert (locked.code, "another amelia start works on" in locked.err) == (5, True)
            assert "in_progress (executing)" in commands.run("workflows", "list", "--local").out
            os.kill(running.pid, number)
            code = running.ended()
        err.seek(0)
        if number != signal.SIGKILL:
            assert (code, err.read()) == (130, "interrupted; the same command goes on from here\n")
    [listed] = json.loads(commands.run("workflows", "list", "--local", "--output", "json").out)["items"]
    assert (listed["status"], listed["phase"], "interrupted" in listed["reason"]) == ("pending", "", True)
    shown = commands.run("workflows", "show", listed["id"], "--local").out
    assert "next: the amelia start that began it goes on" in shown
    assert number != signal.SIGKILL or "its process is gone; amelia start with the same ISSUE goes on" in shown

    conversation.write_text(CONVERSATION.replace("LATENCY", "0"))
    again = commands.run(*start)
    assert again.code == 0, again.err
    assert "architect starts" not in again.out
    assert "completed" in again.out
    assert git("log", "--oneline", "main..amelia/" + again.out.split("branch   amelia/")[1].split()[0])


SMALLER = """  - agent: architect
    round: 2
    turns:
      - call:
          submit_plan:
            summary: Round once, in the sum.
            tasks: [{id: round-once, title: Round once, description: In the sum., dependencies: []}]
"""


def test_a_plan_that_is_sent_back_here_is_planned_again_and_shown_with_what_changed(
    answering: Answering, conversation: Path
) -> None:
    conversation.write_text(conversation.read_text() + SMALLER)
    start = ["start", "issue.md", "--replay", str(conversation)]
    code, seen = answering(
        start, [("Approve this plan?", "v"), ("What is to be different?", "in the sum"), ("Approve this plan?", "q")]
    )
    assert (code, "+Round once, in the sum." in seen, "-Round once." in seen) == (0, True, True), seen
    code, seen = answering(start, [("Approve this plan?", "a")])
    assert (code, "completed" in seen) == (0, True), seen
    assert "+Round once, in the sum." in seen, "also the next process knows what changed"


def test_a_budget_is_kept_here_and_a_larger_one_goes_on(process: Amelia, conversation: Path) -> None:
    start = ["start", "issue.md", "--replay", str(conversation), "--auto-approve", "--wait", "--output", "json"]
    first = process(*start, "--budget-tokens", "1")
    assert (first.code, json.loads(first.out)["status"]) == (1, "paused"), first.err
    again = process(*start)
    assert (again.code, json.loads(again.out)["status"]) == (1, "paused"), again.err
    last = process(*start, "--budget-tokens", "0")
    ended = json.loads(last.out)
    assert (last.code, ended["status"], ended["budget"]) == (0, "completed", {}), last.err


@pytest.mark.usefixtures("repository")
def test_no_model_says_how_to_get_one(amelia: Amelia) -> None:
    ran = amelia("start", "issue.md")
    assert (ran.code, "ANTHROPIC_API_KEY" in ran.err, len(ran.err.splitlines())) == (2, True, 1)


def test_a_conversation_file_with_a_mistake_is_named(amelia: Amelia, conversation: Path) -> None:
    for text in ("{", "version: 1\nconversations: [{agnt: x}]"):
        conversation.write_text(text)
        ran = amelia("start", "issue.md", "--replay", str(conversation))
        assert (ran.code, conversation.name in ran.err, len(ran.err.splitlines())) == (2, True, 1), ran.err
    ran = amelia("start", "issue.md", "--replay", "none.yaml")
    assert (ran.code, "there is no conversation file none.yaml" in ran.err) == (2, True)


def test_what_fails_here_names_the_ways_to_try_again(process: Amelia, conversation: Path) -> None:
    conversation.write_text(CONVERSATION.replace("LATENCY", "0").replace("old: round", "old: nowhere"))
    ran = process("start", "issue.md", "--replay", str(conversation), "--auto-approve")
    assert (ran.code, "the same command with --retry tries the rest again" in ran.err) == (1, True), ran.err + ran.out


def test_a_model_without_an_answer_fails_with_its_reason(process: Amelia, conversation: Path) -> None:
    conversation.write_text(CONVERSATION.split("  - agent: developer")[0].replace("architect", "reviewer"))
    ran = process("start", "issue.md", "--replay", str(conversation), "--wait")
    assert ran.code in (1, 2, 7)
    assert "architect" in ran.err + ran.out


def test_nothing_is_pushed_unless_it_was_asked_for(process: Amelia, conversation: Path, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git("clone", "-q", "--bare", ".", str(origin))
    git("remote", "add", "origin", str(origin))
    start = ["start", "issue.md", "--auto-approve", "--wait", "--replay", str(conversation), "--output", "json"]
    first = process(*start)
    branch = json.loads(first.out)["branch"]
    assert (first.code, branch in git("ls-remote", "origin")) == (0, False), first.err
    again = process(*start, "--new", "--push")
    branch = json.loads(again.out)["branch"]
    assert again.code == 0, again.err
    assert git("rev-parse", branch) in git("ls-remote", "origin", branch)


def test_a_repository_elsewhere_needs_leave_to_push(amelia: Amelia, conversation: Path) -> None:
    ran = amelia("start", "issue.md", "--repo", "https://code.example.invalid/o/r.git", "--replay", str(conversation))
    assert (ran.code, "say --push" in ran.err, len(ran.err.splitlines())) == (2, True, 1)
    ran = amelia("start", "issue.md", "--remote", "--push")
    assert (ran.code, "--push works only without --remote" in ran.err) == (2, True)


def test_beginning_again_ends_what_was_begun_and_a_slip_begins_nothing(process: Amelia, conversation: Path) -> None:
    start = ["start", "issue.md", "--replay", str(conversation), "--wait", "--output", "json"]
    first = json.loads(process(*start).out)
    assert first["status"] == "blocked"
    slip = process("start", "issue.md", "--replay", "none.yaml", "--new")
    assert slip.code == 2, slip.err
    listed = json.loads(process("workflows", "list", "--local", "--output", "json").out)
    assert [item["status"] for item in listed["items"]] == ["blocked"]
    assert process(*start, "--new", "--auto-approve").code == 0
    listed = json.loads(process("workflows", "list", "--local", "--output", "json").out)
    assert {item["id"]: item["status"] for item in listed["items"]}[first["id"]] == "cancelled"
    assert sorted(item["status"] for item in listed["items"]) == ["cancelled", "completed"]


def test_what_has_ended_is_told_without_a_model(process: Amelia, conversation: Path) -> None:
    start = ["start", "issue.md", "--auto-approve"]
    assert process(*start, "--replay", str(conversation), "--wait").code == 0
    again = process(*start)
    assert (again.code, "it had ended before" in again.err) == (0, True), again.err
