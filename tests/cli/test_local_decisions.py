"""Deciding in local mode: a plan that is edited, policies, and work that the Reviewer does not accept."""

import json
import sys
from pathlib import Path

import pytest

from .conftest import Amelia, Answering

CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - call:
          submit_plan:
            summary: Round once.
            tasks: [{id: round-once, title: Round once, description: At the end., dependencies: [], files: [total.py]}]
  - agent: developer
    task: by-hand
    repeat: true
    turns:
      - call: {edit_file: {path: total.py, old: round, new: int}}
      - call: {finish_task: {summary: Rounds once.}}
  - agent: developer
    task: round-once
    repeat: true
    turns:
      - call: {edit_file: {path: total.py, old: round, new: int}}
      - call: {finish_task: {summary: Rounds once.}}
  - agent: developer
    task: review
    repeat: true
    turns:
      - call: {write_file: {path: more.py, content: "more = 1"}}
      - call: {finish_task: {summary: More.}}
  - agent: reviewer
    repeat: true
    turns:
      - call: {submit_review: VERDICT}
"""
GOOD = "{approved: true, summary: Good.}"
BAD = "{approved: false, summary: No., comments: [{severity: major, message: say more, file: total.py, line: 1}]}"


@pytest.fixture
def conversation(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMELIA_DRIVER", "api:anthropic")
    path = tmp_path / "conversation.yaml"
    path.write_text(CONVERSATION.replace("VERDICT", GOOD))
    return path


def events(amelia: Amelia, kind: str) -> list[dict[str, str]]:
    """Those of the one run there is, of one type."""
    (run,) = json.loads(amelia("workflows", "list", "--local", "--output", "json").out)["items"]
    told = amelia("workflows", "logs", run["id"], "--local", "--output", "json").out.splitlines()
    return [event for event in map(json.loads, told) if event["type"] == kind]


def test_a_plan_that_is_edited_is_carried_out_under_its_own_hash(
    amelia: Amelia, answering: Answering, conversation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('id: round-once', 'id: by-hand'))\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    start = ["start", "issue.md", "--replay", str(conversation)]
    code, seen = answering(start, [("Approve this plan?", "e"), ("Approve this plan?", "a")])
    assert (code, "completed" in seen) == (0, True), seen
    assert "+by-hand: Round once" in seen, "what was changed is shown before it is approved"
    first, second = events(amelia, "workflow_blocked")
    (approved,) = events(amelia, "workflow_approved")
    assert first["plan_sha256"] != second["plan_sha256"] == approved["plan_sha256"]
    assert [event["task_id"] for event in events(amelia, "task_started")] == ["by-hand"]
    assert len([event for event in events(amelia, "agent_started") if event["agent"] == "architect"]) == 1


def test_an_answer_that_is_none_and_edits_that_are_dropped_are_told(
    answering: Answering, conversation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\nf = pathlib.Path(sys.argv[1])\nf.write_text(f.read_text().replace('once', 'x'))"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    ask = "Approve this plan?"
    code, seen = answering(
        ["start", "issue.md", "--replay", str(conversation)],
        [(ask, "x"), (ask, ""), (ask, "v"), ("What is to be different?", ""), (ask, "e"), (ask, "q")],
    )
    assert code == 0
    assert "x is no answer; give one of a, approve, v, revise, e, edit, r, reject, q, quit" in seen
    assert "nothing is no answer" in seen
    assert "nothing was said, so nothing is sent back" in seen
    assert "your edits are not kept: only an approval takes the plan that you edited" in seen


def test_work_that_the_reviewer_refuses_is_sent_back_or_accepted_by_a_person(
    amelia: Amelia, answering: Answering, conversation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation.write_text(CONVERSATION.replace("VERDICT", BAD))
    Path("settings.amelia.yaml").write_text("profiles: {default: {max_iterations: 1}}")
    monkeypatch.setenv("PAGER", "cat")
    start = ["start", "issue.md", "--replay", str(conversation)]
    alone = amelia(*start, "--auto-approve")
    assert (alone.code, "open     total.py:1" in alone.out or "say more" in alone.out) == (1, True), alone.out
    again = "Accept it as it is?"
    answers = [(again, "d"), (again, "b"), ("What is to be different?", "say more"), (again, "a")]
    code, seen = answering(start, answers)
    assert (code, "completed" in seen, "+total = int" in seen) == (0, True, True), seen
    (revised,) = events(amelia, "workflow_revised")
    assert revised["feedback"] == "say more"
    assert [block.get("requires", "approval") for block in events(amelia, "workflow_blocked")] == [
        "approval",
        "review",
        "review",
    ]


def test_the_profile_s_policy_decides_what_is_left_to_it_and_asks_once_for_the_rest(
    amelia: Amelia, conversation: Path
) -> None:
    settings = Path("settings.amelia.yaml")
    rule = "{name: look at totals, then: ask, touching: [total.py]}"
    settings.write_text(f"profiles: {{default: {{auto_approve: true, policy: {{rules: [{rule}]}}}}}}")
    start = ["start", "issue.md", "--replay", str(conversation)]
    for _ in range(2):
        ran = amelia(*start)
        assert (ran.code, "look at totals" in ran.out) == (0, True), ran.out + ran.err
    assert len(events(amelia, "approval_vote")) == 1
    Path("policy.yaml").write_text("rules: [{name: small, then: approve, tasks: 1}]")
    settings.write_text("profiles: {default: {auto_approve: true, policy: policy.yaml}}")
    assert amelia(*start).code == 0
    (approved,) = events(amelia, "workflow_approved")
    assert approved["policy"] == "small"


def test_a_plan_is_made_alone_kept_looked_at_and_carried_out_later(amelia: Amelia, conversation: Path) -> None:
    planned = amelia("plan", "issue.md", "--replay", str(conversation), "-o", "plan.yaml")
    assert (planned.code, "Round once." in planned.out, "amelia start" in planned.out) == (0, True, True), planned.err
    assert "id: round-once" in Path("plan.yaml").read_text()
    again = json.loads(amelia("plan", "issue.md", "--output", "json", "-o", "plan.json").out)
    assert again["plan"] == json.loads(Path("plan.json").read_text()), "shown without a model"
    start = amelia("start", "issue.md", "--replay", str(conversation), "--auto-approve", "--output", "json", "--wait")
    ended = json.loads(start.out)
    assert (ended["status"], ended["plan_sha256"]) == ("completed", again["plan_sha256"])

    run = ended["id"]
    short = run[:12]
    assert "Totals are wrong" in amelia("workflows", "list", "--local", "--status", "completed").out
    assert "no workflows are like that" in amelia("workflows", "list", "--local", "--status", "failed").out
    assert run in amelia("workflows", "show", short, "--local").out
    assert "+total = int" in amelia("workflows", "diff", short, "--local").out
    assert again["plan_sha256"] in amelia("workflows", "plan", short, "--local").out
    assert json.loads(amelia("workflows", "usage", short, "--local", "--output", "json").out)["spent"]
    kept = json.loads(amelia("workflows", "artifacts", short, "--local", "--output", "json").out)["items"]
    assert all(amelia("workflows", "artifacts", short, one["name"], "--local").out for one in kept)
    last = amelia("workflows", "logs", short, "--local", "--after", str(ended["sequence"] - 1)).out.splitlines()
    assert len(last) == 1
    assert amelia("workflows", "show", "wf-nothing", "--local").code == 4


def test_an_issue_that_cannot_be_planned_says_why(amelia: Amelia, conversation: Path) -> None:
    conversation.write_text("version: 1\nconversations: [{agent: reviewer, turns: [{say: x}]}]")
    ran = amelia("plan", "issue.md", "--replay", str(conversation))
    assert (ran.code, "architect" in ran.out) == (1, True), ran.out + ran.err


def test_what_failed_is_tried_again_from_its_last_checkpoint(amelia: Amelia, conversation: Path) -> None:
    good = conversation.read_text()
    conversation.write_text(good.replace("{summary: Rounds once.}", "{summary: I cannot., gave_up: true}"))
    start = ["start", "issue.md", "--replay", str(conversation), "--auto-approve"]
    assert amelia(*start).code == 1
    conversation.write_text(good)
    again = amelia(*start)
    assert (again.code, "--retry tries the rest again" in again.err) == (1, True), again.err
    last = amelia(*start, "--retry")
    assert (last.code, "architect starts" in last.out, "completed" in last.out) == (0, False, True), last.out + last.err
