"""The Architect's step: a plan, which then waits for a decision."""

import msgspec
from msgspec.structs import replace

from ...contract.events import AgentCompleted, WorkflowBlocked
from ...contract.plan import Plan, plan_sha256
from ..agents.architect import make_plan
from ..facts import fact_id
from ..site import Site
from ..state import State, work_of
from .ending import failing

LARGEST_PLAN = 32_768
"""Bytes of JSON; a larger plan travels as a claim check."""


async def plan(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    outcome = await make_plan(site, work)
    work = site.spend(work, outcome.usage)
    proposed = outcome.answer
    summary = proposed.summary if proposed else outcome.cause
    said = (AgentCompleted(id="", workflow_id=wf, agent="architect", summary=summary[:4_000]), site.tokens_used(work))
    if proposed is None:
        return failing(site, state, work, f"there is no plan: {outcome.cause}", said)
    number = state["last_fact"] + len(said) + 1
    work = replace(
        work,
        plan=proposed,
        plan_sha256=plan_sha256(proposed),
        block_id=fact_id(wf, number, "workflow_blocked"),
    )
    return site.onward(state, work, "gate", (*said, await _blocked(site, proposed)))


async def _blocked(site: Site, proposed: Plan) -> WorkflowBlocked:
    wf, sha256 = site.job.workflow_id, plan_sha256(proposed)
    data = msgspec.json.encode(proposed, order="sorted")
    if len(data) <= LARGEST_PLAN:
        return WorkflowBlocked(id="", workflow_id=wf, plan_sha256=sha256, plan=proposed)
    claim = await site.objects.put(f"{wf}/plan", data)
    return WorkflowBlocked(id="", workflow_id=wf, plan_sha256=sha256, plan_claim=claim)
