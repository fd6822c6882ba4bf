"""Work that the Reviewer does not accept waits for a person: what is unresolved, and the change as it is."""

from typing import Any, assert_never

import msgspec
from langgraph.types import interrupt
from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import WorkflowBlocked
from ...contract.workflow import Decision
from ...errors import Conflict
from ..agents.developer import answer_to
from ..facts import fact_id, next_number
from ..site import Site
from ..state import REVIEW_ROUND, State, Work, work_of
from .ending import failing, succeeding, unresolved
from .gate import decides, question
from .planning import shown
from .routing import begins


async def appealing(site: Site, state: State, work: Work, said: tuple[Event, ...]) -> State:
    """Nothing runs until somebody decides."""
    wf, tree = site.job.workflow_id, await site.tree(work)
    number = next_number(state, site.job.highest_fact) + len(said)
    work = replace(work, block_id=fact_id(wf, number, "workflow_blocked"))
    blocked = WorkflowBlocked(
        id="",
        workflow_id=wf,
        plan_sha256=work.plan_sha256,
        requires="review",
        unresolved=unresolved(work),
        diff=await site.objects.put(f"{site.job.folder}/diff", await tree.patch()),
    )
    return site.onward(state, work, "appeal", (*said, await shown(site, work.agreed, blocked)))


async def appeal(site: Site, state: State) -> State:
    """Approved, the work is handed in as it is; sent back, it is worked and reviewed as often again."""
    work = work_of(state)
    answer: Any = interrupt(question(work))
    decision = msgspec.convert(answer, Decision)
    if not decides(decision, work):
        raise Conflict(
            f"the decision is about another block than the one {site.job.workflow_id} waits at; decide again"
        )
    match decision.kind:
        case "approved":
            return succeeding(site, state, work, ())
        case "revised":
            return _back(site, state, replace(work, appeals=(*work.appeals, decision.feedback)))
        case "rejected":
            said = f": {decision.feedback}" if decision.feedback else ""
            return failing(site, state, work, f"the work was rejected by {decision.by}{said}", again="appeal")
        case _:
            assert_never(decision.kind)


def _back(site: Site, state: State, work: Work) -> State:
    assert work.verdict is not None
    task = answer_to(work.verdict, work.agreed, work.appeals)
    work = replace(work, task=REVIEW_ROUND, round=work.round + 1, forgiven=work.round)
    return site.onward(state, work, "develop", begins(site, task, work.round))
