"""The Architect's step: a plan, which then waits for a decision."""

import msgspec
from msgspec.structs import replace

from ...contract.events import AgentCompleted, WorkflowBlocked
from ...contract.plan import Plan, plan_sha256
from ...redaction import ours
from ..agents.architect import make_plan
from ..agents.reviewer import focuses
from ..artifacts import JSON
from ..estimates import carrying_out, dearest
from ..facts import fact_id, next_number
from ..site import Site
from ..state import State, work_of
from .ending import failing

LARGEST_PLAN = 32_768
"""Bytes of JSON; a larger plan travels as a claim check."""


async def plan(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    outcome = await make_plan(site, work)
    if outcome.answer is not None:
        data = msgspec.json.format(msgspec.json.encode(outcome.answer, order="sorted"))
        site.artifacts.add(await site.artifacts.store(f"plan-{work.round}.json", data, JSON))
    work, used = site.settled(work)
    work, read = site.noted(work, outcome.notes, "architect")
    proposed = ours().value(outcome.answer)
    summary = (proposed.summary if proposed else outcome.cause)[:4_000]
    said = (*read, AgentCompleted(id="", workflow_id=wf, agent="architect", summary=summary, round=work.round), *used)
    if proposed is None:
        return failing(site, state, work, f"there is no plan: {outcome.cause}", said, again="plan")
    number = next_number(state, site.job.highest_fact) + len(said)
    work = replace(
        work,
        plan=proposed,
        plan_sha256=plan_sha256(proposed),
        block_id=fact_id(wf, number, "workflow_blocked"),
    )
    developer, reviewer = (
        dearest((choice.model for choice in site.cast.of(agent)), outcome.usage, site.prices)
        for agent in ("developer", "reviewer")
    )
    ahead = carrying_out(proposed, outcome.turns, developer, reviewer, len(focuses(site.job.profile)))
    blocked = WorkflowBlocked(id="", workflow_id=wf, plan_sha256=work.plan_sha256, estimated_microdollars=ahead)
    return site.onward(state, work, "gate", (*said, await shown(site, proposed, blocked)))


async def shown(site: Site, proposed: Plan, blocked: WorkflowBlocked) -> WorkflowBlocked:
    """With the plan that the decision is about."""
    data = msgspec.json.encode(proposed, order="sorted")
    if len(data) <= LARGEST_PLAN:
        return replace(blocked, plan=proposed)
    return replace(blocked, plan_claim=await site.objects.put(f"{site.job.folder}/plan", data))
