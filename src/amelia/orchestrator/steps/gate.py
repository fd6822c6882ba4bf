"""Waits for a decision. No process waits with it."""

from typing import Any, assert_never

import msgspec
from langgraph.types import interrupt
from msgspec.structs import replace

from ...contract.plan import plan_sha256
from ...contract.workflow import Decision
from ...domain.plan import part_of
from ...errors import Conflict, Refused
from ..site import Site
from ..state import State, Work, work_of
from .ending import failing
from .routing import onwards, plans


def question(work: Work) -> dict[str, str]:
    """What the interrupt shows, and what a decision has to name."""
    return {"block_id": work.block_id, "plan_sha256": work.plan_sha256}


async def gate(site: Site, state: State) -> State:
    """The only interrupt of its node."""
    work = work_of(state)
    answer: Any = interrupt(question(work))
    decision = msgspec.convert(answer, Decision)
    if not decides(decision, work):
        raise Conflict(f"the decision names another plan than the one {site.job.workflow_id} waits with; decide again")
    match decision.kind:
        case "approved":
            return onwards(site, state, _agreed(work, decision), ())
        case "revised":
            feedback = (*work.feedback, decision.feedback)
            return plans(site, state, replace(work, feedback=feedback, round=work.round + 1))
        case "rejected":
            said = f": {decision.feedback}" if decision.feedback else ""
            return failing(site, state, work, f"the plan was rejected by {decision.by}{said}", again="gate")
        case _:
            assert_never(decision.kind)


def decides(decision: Decision, work: Work) -> bool:
    """Whether the decision is about exactly this block, and this plan or a part of it."""
    if decision.block_id != work.block_id:
        return False
    if not decision.tasks:
        return decision.plan_sha256 == work.plan_sha256
    try:
        return decision.plan_sha256 == plan_sha256(part_of(work.agreed, decision.tasks))
    except Refused:
        return False


def _agreed(work: Work, decision: Decision) -> Work:
    """From here on the plan is what was approved of it."""
    if not decision.tasks:
        return work
    part = part_of(work.agreed, decision.tasks)
    left_out = tuple(task.title for task in work.agreed.tasks if task not in part.tasks)
    return replace(work, plan=part, plan_sha256=decision.plan_sha256, left_out=left_out)
