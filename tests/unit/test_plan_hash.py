"""What a runtime may say of its plan, and what it can still change after it said it was done."""

from typing import Any

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.workflow import ClaimCheck
from amelia.domain.evolve import evolve
from amelia.domain.workflow import Workflow

from ..samples import FACT_TYPES, HASH, PLAN, variants, workflow

OF_THE_PLAN = ClaimCheck(key="plans/1", size=1, sha256=HASH)
OF_ANOTHER = ClaimCheck(key="plans/2", size=1, sha256="0" * 64)


def at_work() -> Workflow:
    return workflow(status="in_progress", phase="planning", epoch=1, open=True)


def asks(w: Workflow, **fields: Any) -> Workflow:
    return evolve(w, e.WorkflowBlocked(id="block", workflow_id=w.id, attempt=1, fact=1, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"plan_sha256": "0" * 64, "plan": PLAN},
        {"plan_sha256": HASH, "plan": msgspec.structs.replace(PLAN, summary="Round up.")},
        {"plan_sha256": "", "plan": PLAN},
        {"plan_sha256": HASH},
        {"plan_sha256": HASH, "plan_claim": OF_ANOTHER},
        {"plan_sha256": HASH, "plan": PLAN, "plan_claim": OF_ANOTHER},
        {"plan_sha256": HASH, "plan": PLAN, "plan_claim": OF_THE_PLAN},
    ],
    ids=["another hash", "another plan", "no hash", "no plan", "another claim", "two plans", "the plan twice"],
)
def test_a_plan_that_is_not_what_its_hash_says_fails_the_workflow_with_a_cause(fields: dict[str, Any]) -> None:
    w = asks(at_work(), **fields)
    assert (w.status, w.open, w.block) == ("failed", False, None)
    assert w.reason == "the runtime asked for approval under a hash that is not its plan's"
    assert (w.sequence, w.fact) == (2, 1)


@pytest.mark.parametrize("fields", [{"plan": PLAN}, {"plan_claim": OF_THE_PLAN}], ids=["plan", "claim"])
def test_a_plan_under_its_own_hash_waits_for_a_decision(fields: dict[str, Any]) -> None:
    w = asks(at_work(), plan_sha256=HASH, **fields)
    assert w.status == "blocked"
    assert w.block is not None
    assert (w.block.plan_sha256, w.block.plan, w.block.plan_claim) == (
        HASH,
        fields.get("plan"),
        fields.get("plan_claim"),
    )


def delivering() -> Workflow:
    w = at_work()
    work, done = variants(e.WorkHandedIn, w.id, attempt=1, fact=1)[0], variants(e.WorkflowCompleted, w.id)[0]
    return evolve(evolve(w, work), msgspec.structs.replace(done, attempt=1, fact=2))


@pytest.mark.parametrize("kind", FACT_TYPES)
def test_a_fact_after_success_changes_nothing_of_what_is_delivered(kind: type[Event]) -> None:
    w = delivering()
    assert (w.status, w.phase, w.open) == ("in_progress", "delivering", False)
    for event in variants(kind, w.id, attempt=1, fact=3):
        if isinstance(event, e.WorkHandedIn):
            event = msgspec.structs.replace(event, commit="e" * 40, bundle=OF_ANOTHER)
        after = evolve(w, event)
        assert (after.status, after.phase, after.open) == (w.status, w.phase, w.open)
        assert (after.handed_in, after.block, after.reason) == (w.handed_in, None, w.reason)
        assert (after.sequence, after.fact) == (w.sequence + 1, 3)


@pytest.mark.parametrize("status", ["pending", "in_progress", "approved"])
def test_a_refusal_that_is_not_final_only_says_why_it_waits(status: Any) -> None:
    for w in (workflow(status=status, epoch=1), msgspec.structs.replace(delivering(), status=status)):
        [refused, _] = variants(e.CommandRefused, w.id)
        after = evolve(w, refused)
        assert after == msgspec.structs.replace(w, sequence=w.sequence + 1, reason="no")
