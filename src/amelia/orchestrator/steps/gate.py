"""Waits for a decision. No process waits with it."""

from typing import Any, assert_never

import msgspec
from langgraph.types import interrupt
from msgspec.structs import replace

from ...contract.events import WorkflowBlocked
from ...contract.plan import Plan, plan_sha256
from ...contract.workflow import Decision
from ...domain.plan import part_of
from ...errors import Conflict, Refused
from ...redaction import ours
from ...tools.unseen import in_commands
from ..facts import fact_id, next_number
from ..site import Site
from ..state import State, Work, work_of
from .ending import failing
from .planning import shown
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
        case "revised" if site.job.edited is not None:
            return await _in_its_place(site, state, work, site.job.edited)
        case "revised":
            feedback = (*work.feedback, decision.feedback)
            return plans(site, state, replace(work, feedback=feedback, round=work.round + 1))
        case "rejected":
            said = f": {decision.feedback}" if decision.feedback else ""
            return failing(site, state, work, f"the plan was rejected by {decision.by}{said}", again="gate")
        case _:
            assert_never(decision.kind)


async def _in_its_place(site: Site, state: State, work: Work, edited: Plan) -> State:
    """A plan that a person wrote waits like the Architect's: for a decision about itself."""
    if objection := in_commands(edited):
        return failing(site, state, work, f"the edited plan was not taken: {objection}", again="gate")
    edited = ours().value(edited)
    wf, sha256 = site.job.workflow_id, plan_sha256(edited)
    block_id = fact_id(wf, next_number(state, site.job.highest_fact), "workflow_blocked")
    work = replace(work, plan=edited, plan_sha256=sha256, block_id=block_id)
    blocked = WorkflowBlocked(id="", workflow_id=wf, plan_sha256=sha256)
    return site.onward(state, work, "gate", (await shown(site, edited, blocked),))


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
