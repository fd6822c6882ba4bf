"""A block about work that the Reviewer does not accept."""

import pytest
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.plan import plan_sha256
from amelia.domain.decide import decide
from amelia.domain.evolve import evolve
from amelia.domain.place import paths
from amelia.domain.policy import OPEN, decision
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict

from ..samples import HASH, NOW, order, variants, workflow


def approved() -> Workflow:
    w = workflow(status="in_progress", epoch=1, open=True, auto_approve=True)
    w = evolve(w, variants(e.WorkflowBlocked, w.id)[0])
    return opened(after(w, order(c.ApproveWorkflow, w.id)))


def opened(w: Workflow) -> Workflow:
    return replace(w, status="in_progress", epoch=w.epoch + 1, open=True, admitted=True)


def appealing(w: Workflow, id_: str = "second") -> Workflow:
    blocked = variants(e.WorkflowBlocked, w.id)[0]
    return evolve(w, replace(blocked, id=id_, attempt=w.epoch, requires="review", unresolved=("major: say more",)))


def after(w: Workflow, command: c.AnyCommand) -> Workflow:
    for event in decide(w, command, NOW):
        w = evolve(w, event)
    return w


def test_it_waits_for_a_person_whatever_the_policy_says() -> None:
    w = appealing(approved())
    assert (w.status, w.block and w.block.requires) == ("blocked", "review")
    assert decision(w, OPEN, NOW) is None
    assert w.agreed == HASH


def test_accepted_it_goes_on_under_the_plan_that_was_approved() -> None:
    w = appealing(approved())
    w = after(w, order(c.ApproveWorkflow, w.id))
    assert (w.status, w.agreed) == ("approved", HASH)


def test_sent_back_it_keeps_its_plan_its_approval_and_its_paths() -> None:
    w = appealing(approved())
    held = paths(approved())
    w = after(w, order(c.ReviseWorkflow, w.id, feedback="say more"))
    assert (w.status, w.agreed, w.decision and w.decision.kind) == ("pending", HASH, "revised")
    assert w.block is not None and paths(w) == held
    again = appealing(opened(w), "third")
    assert again.decision is None
    assert after(again, order(c.ApproveWorkflow, w.id)).agreed == HASH


def test_rejected_it_fails_as_work_and_a_retry_asks_again() -> None:
    w = appealing(approved())
    w = after(w, order(c.RejectWorkflow, w.id, feedback="no"))
    assert (w.status, w.reason) == ("failed", "the work was rejected by ada: no")
    w = after(w, order(c.RetryWorkflow, w.id))
    assert (w.status, w.block and w.block.requires) == ("blocked", "review")


def test_one_that_was_sent_back_and_failed_is_not_asked_about_again() -> None:
    w = appealing(approved())
    w = opened(after(w, order(c.ReviseWorkflow, w.id, feedback="say more")))
    w = after(replace(w, status="failed", open=False), order(c.RetryWorkflow, w.id))
    assert w.status == "pending"


def test_a_part_of_the_work_cannot_be_accepted() -> None:
    w = appealing(approved())
    with pytest.raises(Conflict, match="all of it"):
        decide(w, order(c.ApproveWorkflow, w.id, tasks=("a",)), NOW)


def test_another_plan_needs_another_approval() -> None:
    w = appealing(approved())
    first = variants(e.WorkflowBlocked, w.id)[0]
    assert isinstance(first, e.WorkflowBlocked) and first.plan is not None
    plan = replace(first.plan, summary="Something else.")
    planned = replace(first, id="third", attempt=w.epoch + 1, plan=plan, plan_sha256=plan_sha256(plan))
    assert evolve(opened(w), planned).agreed == ""
