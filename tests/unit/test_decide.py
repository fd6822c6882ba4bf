"""Commands against each status."""

import re

import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.workflow import TERMINAL, Status
from amelia.domain.consequences import follow_up, lost
from amelia.domain.decide import decide
from amelia.domain.evolve import evolve
from amelia.domain.policy import OPEN
from amelia.domain.policy import decision as judged
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, NotFound

from ..samples import HASH, NOW, Voice, opening, order, start, variants, workflow
from .test_workflow_table import STATUSES

DECISIONS = (c.ApproveWorkflow, c.RejectWorkflow)


def waiting() -> Workflow:
    w = workflow(status="in_progress", epoch=1, open=True)
    return evolve(w, variants(e.WorkflowBlocked, w.id)[0])


def after(w: Workflow, command: c.AnyCommand) -> Workflow:
    for event in decide(w, command, NOW):
        w = evolve(w, event)
    return w


@pytest.mark.parametrize("kind", DECISIONS)
@pytest.mark.parametrize("status", [s for s in STATUSES if s != "blocked"])
def test_what_is_not_blocked_cannot_be_decided_and_the_refusal_names_state_and_way_out(
    status: Status, kind: type[c.ApproveWorkflow]
) -> None:
    w = workflow(status=status)
    with pytest.raises(Conflict, match=rf"{w.id} is {status}; only blocked workflows can be (approved|rejected)"):
        decide(w, order(kind, w.id), NOW)


def test_approval_leads_to_approved_and_rejection_to_failed_with_its_feedback() -> None:
    w = waiting()
    assert after(w, order(c.ApproveWorkflow, w.id)).status == "approved"
    rejected = after(w, order(c.RejectWorkflow, w.id, feedback="too large"))
    assert (rejected.status, rejected.reason) == ("failed", "the plan was rejected by ada: too large")


@pytest.mark.parametrize("kind", DECISIONS)
def test_the_same_decision_a_second_time_is_no_new_one(kind: type[c.ApproveWorkflow]) -> None:
    w = waiting()
    assert w.block is not None
    decided = after(w, order(kind, w.id))
    assert decide(decided, order(kind, w.id), NOW) == ()
    assert decide(decided, order(kind, w.id, block_id=w.block.event_id, plan_sha256=HASH), NOW) == ()


@pytest.mark.parametrize(("first", "second"), [DECISIONS, DECISIONS[::-1]])
def test_the_first_decision_stands(first: type[c.ApproveWorkflow], second: type[c.RejectWorkflow]) -> None:
    w = waiting()
    with pytest.raises(Conflict, match="only blocked workflows"):
        decide(after(w, order(first, w.id)), order(second, w.id), NOW)


@pytest.mark.parametrize("kind", DECISIONS)
@pytest.mark.parametrize("stale", [{"block_id": "another"}, {"plan_sha256": "f" * 64}])
def test_a_decision_about_another_plan_is_refused_and_says_which_one_waits(
    kind: type[c.ApproveWorkflow], stale: dict[str, str]
) -> None:
    w = waiting()
    assert w.block is not None
    with pytest.raises(Conflict, match=rf"({w.block.event_id}|{HASH}).*look at .* again and decide that"):
        decide(w, order(kind, w.id, **stale), NOW)


def test_an_approval_of_an_earlier_plan_does_not_pass_for_one_of_the_next() -> None:
    w = waiting()
    assert w.block is not None
    first_block = w.block.event_id
    w = after(w, order(c.ApproveWorkflow, w.id))
    w = evolve(w, opening(w))
    w = evolve(w, variants(e.WorkflowBlocked, w.id)[0])
    with pytest.raises(Conflict, match="another block"):
        decide(w, order(c.ApproveWorkflow, w.id, block_id=first_block, plan_sha256=HASH), NOW)


@pytest.mark.parametrize("status", STATUSES)
def test_whatever_has_not_ended_can_be_cancelled_at_once(status: Status) -> None:
    w = workflow(status=status, epoch=4)
    if status == "cancelled":
        assert decide(w, order(c.CancelWorkflow, w.id), NOW) == ()
    elif status in TERMINAL:
        with pytest.raises(Conflict, match=f"{w.id} is {status}; only workflows that have not ended"):
            decide(w, order(c.CancelWorkflow, w.id), NOW)
    elif status != "paused":
        cancelled = after(w, order(c.CancelWorkflow, w.id, reason="no need"))
        assert (cancelled.status, cancelled.epoch, cancelled.open) == ("cancelled", 5, False)
        assert cancelled.reason == "cancelled by ada: no need"


def test_a_workflow_that_is_not_there_is_not_found_by_any_command_but_start() -> None:
    for kind in (*DECISIONS, c.CancelWorkflow):
        with pytest.raises(NotFound, match=re.escape("amelia workflows list")):
            decide(None, order(kind, "wf-none"), NOW)
    [event] = decide(None, start("wf-none"), NOW)
    assert isinstance(event, e.WorkflowSubmitted)
    assert decide(workflow(), start("wf-none"), NOW) == ()


def test_consequences_have_ids_of_their_cause_so_that_a_retry_says_the_same() -> None:
    w, command = waiting(), order(c.ApproveWorkflow, "x")
    assert decide(w, command, NOW) == decide(w, command, NOW)
    [event] = decide(w, command, NOW)
    assert event.causation_id == command.id


def test_the_policy_decides_exactly_the_plan_that_waits_and_only_where_it_was_asked_for() -> None:
    w = waiting()
    assert judged(w, OPEN, NOW) is None
    w = evolve(workflow(status="in_progress", epoch=1, open=True, auto_approve=True, owner="ada"), blocked_event())
    decision = judged(w, OPEN, NOW)
    assert isinstance(decision, e.WorkflowApproved)
    assert w.block is not None
    assert (decision.block_id, decision.plan_sha256) == (w.block.event_id, w.block.plan_sha256)
    assert (decision.approved_by, decision.policy) == ("policy of ada", "auto_approve")
    approved = evolve(w, decision)
    assert approved.status == "approved"
    assert judged(approved, OPEN, NOW) is None


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "blocked"])
def test_the_policy_decides_nothing_that_does_not_wait(status: Status) -> None:
    assert judged(workflow(status=status, auto_approve=True), OPEN, NOW) is None


def blocked_event() -> e.WorkflowBlocked:
    event = variants(e.WorkflowBlocked, "wf")[0]
    assert isinstance(event, e.WorkflowBlocked)
    return event


def lose(w: Workflow, most: int) -> tuple[Workflow, e.RuntimeLost]:
    event = lost(w, "gone", most)
    return evolve(w, event), event


@pytest.mark.parametrize("most", [1, 2, 3])
def test_attempts_in_a_row_that_bring_nothing_end_the_workflow_and_say_so(most: int) -> None:
    w = workflow()
    for attempt in range(1, most + 1):
        w = evolve(w, opening(w))
        w, event = lose(w, most)
        assert event.final == (attempt == most)
    assert w.status == "failed"
    assert f"attempt {most} was lost: gone; {most} in a row brought nothing new" in w.reason


def test_an_attempt_that_brought_a_new_fact_does_not_count_and_begins_the_row_again() -> None:
    w = workflow()
    for _ in range(2):
        w = evolve(w, opening(w))
        w, event = lose(w, 3)
    w = evolve(w, opening(w))
    w = evolve(w, Voice(w.id, attempt=3).fact())
    w, event = lose(w, 3)
    assert (event.final, w.lost, w.status) == (False, 0, "pending")
    for _ in range(3):
        w = evolve(w, opening(w))
        w, event = lose(w, 3)
    assert event.final


def test_what_the_fold_says_of_lost_attempts_is_what_the_decision_said() -> None:
    w = evolve(workflow(lost=1), opening(workflow()))
    lost_now, event = lose(w, 2)
    assert (event.final, lost_now.lost) == (True, 2)


def test_every_end_and_every_wait_of_an_attempt_orders_what_comes_next() -> None:
    w = workflow(status="in_progress", epoch=1, open=True)
    gone, event = lose(w, 3)
    assert isinstance(follow_up(gone, event), c.AttendWorkflow)
    over, event = lose(w, 1)
    assert isinstance(follow_up(over, event), c.AttendWorkflow), "its session has to be stopped"
    delivering = workflow(status="in_progress", phase="delivering")
    assert isinstance(follow_up(delivering, variants(e.WorkflowCompleted, w.id)[0]), c.DeliverWorkflow)
    assert isinstance(follow_up(waiting(), blocked_event()), c.AttendWorkflow)
