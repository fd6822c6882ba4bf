"""The commands that stop, continue and steer workflows, and those of the queue and of dead letters."""

import io
import json
from pathlib import Path

import msgspec
import pytest

from amelia.contract.plan import plan_sha256
from amelia.contract.views import (
    ArtifactView,
    DeadLetterView,
    PlanView,
    QueueItem,
    QueuePlace,
    QueueView,
    WorkflowView,
)
from amelia.contract.workflow import Budget, Note, PullRequest

from ..client.pretend_fleet import PLAN, PretendFleet
from .conftest import Amelia


@pytest.fixture
def blocked(fleet: PretendFleet) -> WorkflowView:
    view = fleet.add(status="blocked", block_id="the-block", plan_sha256=plan_sha256(PLAN), reason="the plan waits")
    fleet.plans[view.id] = PLAN
    return view


def letter(number: int, **fields: str) -> DeadLetterView:
    known = {
        "id": f"{number:08x}-0000-5000-8000-000000000000",
        "source": "commands",
        "state": "waiting",
        "cause": "not a command: \x1b[2Jno",
        "receives": 3,
        "type": "start_workflow",
        "message_id": "m",
        "workflow_id": "wf-1",
        "intact": True,
        "first_at": "2026-01-01T00:00:00Z",
        "last_at": "2026-01-01T00:00:00Z",
        "body": '{"a": "\x1b[2J"}',
    }
    return msgspec.convert({**known, **fields}, DeadLetterView)


# Decisions


def test_a_revision_carries_its_feedback_from_the_line_a_file_or_standard_input(
    amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("review.md").write_text("smaller\nplease\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe"))
    for arguments, wanted in (
        (["--feedback", "smaller"], "smaller"),
        (["-F", "review.md"], "smaller\nplease\n"),
        (["-F", "-"], "from a pipe"),
    ):
        fleet.change(blocked.id, status="blocked")
        ran = amelia("workflows", "revise", blocked.id, *arguments)
        assert (ran.code, "is pending" in ran.out) == (0, True), ran.err
        asked = fleet.decisions[-1]
        assert (asked.feedback, asked.block_id, asked.plan_sha256) == (wanted, "the-block", plan_sha256(PLAN))


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "there is nothing to say; give --feedback TEXT or -F FILE"),
        (["--feedback", " \n"], 2, "there is nothing to say"),
        (["--feedback", "a", "-F", "b"], 2, "both a text and a file"),
        (["-F", "none.md"], 2, "none.md cannot be read"),
        (["--feedback", "x" * 20_001], 2, "at most 20000"),
        (["--feedback", "x", "--plan-sha256", "0" * 64], 5, "look at it again"),
    ],
)
def test_a_revision_that_cannot_be_is_told_in_one_sentence(
    amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView, arguments: list[str], code: int, sentence: str
) -> None:
    ran = amelia("workflows", "revise", blocked.id, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err.splitlines()[-1]
    assert not fleet.decisions


def test_what_is_not_blocked_has_nothing_to_revise(amelia: Amelia, fleet: PretendFleet) -> None:
    ran = amelia("workflows", "revise", fleet.add().id, "--feedback", "x")
    assert (ran.code, "is in_progress; only blocked workflows" in ran.err) == (5, True)


def test_a_part_of_a_plan_is_approved_by_its_tasks(amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView) -> None:
    ran = amelia("workflows", "approve", blocked.id, "--task", "round", "--task", "tests", "--yes")
    assert ran.code == 0
    assert fleet.decisions[0].tasks == ("round", "tests")


def test_a_decision_about_an_older_plan_shows_what_changed(amelia: Amelia, blocked: WorkflowView) -> None:
    ran = amelia("workflows", "approve", blocked.id, "--plan-sha256", "0" * 64)
    assert ran.code == 5
    *changes, sentence = ran.err.splitlines()
    assert changes == ["--- the plan before", "+++ the plan now", "+round [2J"]
    assert "look at it again" in sentence
    told = json.loads(amelia("workflows", "reject", blocked.id, "--plan-sha256", "0" * 64, "--output", "json").err)
    assert told["error"]["changes"].startswith("--- the plan before")


def test_a_plan_shows_its_deadline_its_estimate_and_what_changed(
    amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView
) -> None:
    fleet.plan_facts = {
        "deadline": "2999-01-01T00:00:00.000Z",
        "estimated_microdollars": 1_230_000,
        "previous_sha256": "0" * 64,
        "changes": "--- the plan before\n+++ the plan now\n+round: \x1b[2J",
    }
    ran = amelia("workflows", "plan", blocked.id)
    assert "deadline: 2999-01-01T00:00:00.000Z, in " in ran.out
    assert "estimate: $1.23" in ran.out
    assert "+round:  [2J" in ran.out
    document = amelia("workflows", "plan", blocked.id, "--output", "json").out
    assert msgspec.json.decode(document, type=PlanView).estimated_microdollars == 1_230_000


# Control


def test_pausing_resuming_retrying_and_telling_say_what_came_of_it(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add(budget=Budget(microdollars=1_000_000, tokens=5))
    assert "is paused by you: frozen" in amelia("workflows", "pause", view.id, "--reason", "frozen").out
    assert "is pending" in amelia("workflows", "resume", view.id).out
    fleet.change(view.id, status="failed")
    assert "from start: False" in amelia("workflows", "retry", view.id).out
    assert "from start: True" in amelia("workflows", "retry", view.id, "--from", "start").out
    assert "has 1 unread message\n" in amelia("workflows", "message", view.id, "round half up").out
    Path("notes.md").write_text("and tests")
    told = amelia("workflows", "message", view.id, "-F", "notes.md", "--output", "json").out
    assert [n.text for n in msgspec.json.decode(told, type=WorkflowView).messages] == ["round half up", "and tests"]


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        (["--budget", "7.50"], Budget(microdollars=7_500_000, tokens=5)),
        (["--budget", "$2"], Budget(microdollars=2_000_000, tokens=5)),
        (["--budget", ".1234567"], Budget(microdollars=123_456, tokens=5)),
        (["--budget", "0"], Budget(tokens=5)),
        (["--budget-tokens", "9"], Budget(microdollars=1_000_000, tokens=9)),
        (["--budget", "1", "--budget-tokens", "0"], Budget(microdollars=1_000_000)),
    ],
)
def test_a_resumption_replaces_the_part_of_the_budget_that_is_named(
    amelia: Amelia, fleet: PretendFleet, given: list[str], budget: Budget
) -> None:
    view = fleet.add(status="paused", budget=Budget(microdollars=1_000_000, tokens=5))
    assert amelia("workflows", "resume", view.id, *given).code == 0
    assert fleet.views[view.id].budget == budget


@pytest.mark.parametrize("amount", ["nan", "inf", "-1", "1e3", "1,50", "", ".", "1.2.3", "9999999", "٣"])
def test_what_is_no_amount_is_refused(amelia: Amelia, fleet: PretendFleet, amount: str) -> None:
    ran = amelia("workflows", "resume", fleet.add(status="paused").id, f"--budget={amount}")
    assert (ran.code, "no amount of dollars" in ran.err, len(ran.err.splitlines())) == (2, True, 1)


def test_what_its_budget_paused_is_resumed_with_another(amelia: Amelia, fleet: PretendFleet) -> None:
    spent = fleet.add(
        status="paused", reason="the next call of a model would pass the budget; resume it with a larger one"
    )
    assert f"next: amelia workflows resume {spent.id} --budget DOLLARS" in amelia("workflows", "show", spent.id).out
    asked = fleet.add(status="paused", reason="paused by ada: look at the budget first")
    assert amelia("workflows", "show", asked.id).out.endswith(f"next: amelia workflows resume {asked.id}\n")


def test_an_order_with_a_key_is_sent_with_it(amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView) -> None:
    for verb in (["pause"], ["retry"], ["cancel"], ["message", "x"], ["approve", "--yes"]):
        fleet.change(blocked.id, status="blocked")
        ran = amelia("workflows", verb[0], blocked.id, *verb[1:], "--idempotency-key", "k", "--output", "json")
        assert ran.code == 0, ran.err
    assert len(fleet.keys) == 5


def test_a_workflow_shows_all_that_is_known_of_it(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add(
        status="blocked",
        priority=7,
        budget=Budget(microdollars=2_000_000),
        deadline="2999-01-01T00:00:00.000Z",
        pull_request=PullRequest(url="https://example.com/pull/7", number=7, draft=True),
        messages=(Note(id="n", text="mind \x1b[2J", by="ada"),),
        queue=QueuePlace(position=3, limit="2 of 2 workflows are in progress", estimated_start="2999-01-01T00:00:00Z"),
    )
    out = amelia("workflows", "show", view.id).out
    for said in (
        "https://example.com/pull/7 (draft)",
        "place 3: 2 of 2 workflows are in progress; may start in",
        "priority   7",
        "$0.0081 of $2.00",
        "deadline   2999-01-01",
        "ada: mind  [2J",
        "approve, revise or reject",
    ):
        assert said in out, out


def test_artifacts_are_listed_and_fetched(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add()
    assert "has kept nothing yet" in amelia("workflows", "artifacts", view.id).out
    kept = ArtifactView(name="work.bundle", media_type="x/y", size=9, sha256="0", stored_at="2026-01-01T00:00:00Z")
    fleet.artifacts = (kept,)
    assert "work.bundle  x/y   9" in amelia("workflows", "artifacts", view.id).out
    assert amelia("workflows", "artifacts", view.id, "work.bundle").out == "# v2 git bundle\n"
    listed = json.loads(amelia("workflows", "artifacts", view.id, "other", "--output", "json").out)
    assert listed["items"] == []


def test_lists_are_narrowed_by_status_owner_and_repository(amelia: Amelia, fleet: PretendFleet) -> None:
    ran = amelia(
        "workflows", "list", "--status", "failed", "--status", "paused", "--owner", "a b", "--repository", "r&x=1"
    )
    assert (ran.code, "no workflows are like that" in ran.out) == (0, True)


# The queue


def test_the_queue_shows_place_limit_and_start(amelia: Amelia, fleet: PretendFleet) -> None:
    assert amelia("queue").out == "0 of 2 in progress, 0 waiting\n"
    place = QueuePlace(position=1, limit="2 of 2 are in progress", estimated_start="2999-01-01T00:00:00Z")
    item = QueueItem(
        workflow_id="wf-1",
        title="Totals\x1b",
        owner="ada",
        repository="r",
        priority=5,
        waiting_since="2026-01-01T00:00:00Z",
        place=place,
    )
    fleet.queue = QueueView(in_progress=2, limit=2, waiting=1, items=(item,))
    out = amelia("queue").out
    assert out.splitlines()[0] == "2 of 2 in progress, 1 waiting"
    assert out.splitlines()[-1].split()[:4] == ["1", "wf-1", "ada", "5"]
    assert "2 of 2 are in progress" in out
    assert msgspec.json.decode(amelia("queue", "--output", "json").out, type=QueueView) == fleet.queue


# Dead letters


@pytest.fixture
def letters(fleet: PretendFleet) -> list[str]:
    for number in range(1, 4):
        fleet.letters[letter(number).id] = letter(number)
    return list(fleet.letters)


def test_dead_letters_are_listed_and_shown_without_their_tricks(amelia: Amelia, letters: list[str]) -> None:
    listed = amelia("dead-letters", "list", "--limit", "2")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == letters[:2]
    assert "--cursor 2" in listed.err
    shown = amelia("dead-letters", "show", "00000002")
    assert (shown.code, '{"a": " [2J"}' in shown.out, "\x1b" in shown.out) == (0, True, False)
    assert amelia("dead-letters", "list", "--state", "discarded").out == "no dead letters are discarded\n"
    assert json.loads(amelia("dead-letters", "show", letters[0], "--output", "json").out)["cause"]


def test_several_dead_letters_are_redriven_and_one_that_cannot_be_keeps_none(
    amelia: Amelia, fleet: PretendFleet, letters: list[str]
) -> None:
    fleet.letters[letters[1]] = letter(2, state="discarded")
    ran = amelia("dead-letters", "redrive", *letters)
    assert (ran.code, len(ran.out.splitlines())) == (5, 2)
    assert "is discarded" in ran.err
    assert [x.state for x in fleet.letters.values()] == ["redriven", "discarded", "redriven"]


def test_all_dead_letters_are_taken_only_after_a_yes(amelia: Amelia, fleet: PretendFleet, letters: list[str]) -> None:
    ran = amelia("dead-letters", "discard", "--all")
    assert (ran.code, "discard them all with --all --yes" in ran.err) == (2, True)
    done = json.loads(amelia("dead-letters", "discard", "--all", "--yes", "--output", "json").out)
    assert [x["state"] for x in done["items"]] == ["discarded"] * 3
    assert amelia("dead-letters", "redrive", "--all", "--yes").out == "no dead letters wait\n"


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["redrive"], 2, "say which dead letters to redrive"),
        (["discard", "x", "--all"], 2, "say which dead letters to discard"),
        (["show", "77"], 4, "there is no dead letter '77'"),
        (["show", "0000"], 2, "give more of it"),
        (["redrive", "00000009-0000-5000-8000-000000000000"], 4, "there is no dead letter"),
        (["bury"], 2, "there is no command 'bury'"),
    ],
)
def test_what_cannot_be_done_to_dead_letters_is_told_in_one_sentence(
    amelia: Amelia, arguments: list[str], code: int, sentence: str
) -> None:
    ran = amelia("dead-letters", *arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (code, "", 1), ran.err
    assert sentence in ran.err
