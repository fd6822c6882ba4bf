"""Waits for a decision. No process waits with it."""

from typing import Any

import msgspec
from langgraph.types import interrupt

from ...contract.workflow import Decision
from ...errors import Conflict
from ..site import Site
from ..state import State, Work, work_of
from .ending import failing
from .routing import next_task


def question(work: Work) -> dict[str, str]:
    """What the interrupt shows, and what a decision has to name."""
    return {"block_id": work.block_id, "plan_sha256": work.plan_sha256}


async def gate(site: Site, state: State) -> State:
    """The only interrupt of the graph, and the only one of its node."""
    work = work_of(state)
    answer: Any = interrupt(question(work))
    decision = msgspec.convert(answer, Decision)
    if not decides(decision, work):
        raise Conflict(f"the decision names another plan than the one {site.job.workflow_id} waits with; decide again")
    if decision.kind == "rejected":
        said = f": {decision.feedback}" if decision.feedback else ""
        return failing(site, state, work, f"the plan was rejected by {decision.by}{said}")
    return next_task(site, state, work, ())


def decides(decision: Decision, work: Work) -> bool:
    """Whether the decision is about exactly this block and this plan."""
    return (decision.block_id, decision.plan_sha256) == (work.block_id, work.plan_sha256)
