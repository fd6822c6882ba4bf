"""The Reviewer's step: hand in, send back, or ask a person when it was sent back too often."""

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentCompleted, ReviewCompleted
from ..agents.developer import answer_to
from ..agents.reviewer import judge
from ..site import Site
from ..state import REVIEW_ROUND, State, work_of
from .appeal import appealing
from .ending import failing, succeeding
from .routing import begins


async def review_work(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    outcome = await judge(site, work)
    work, used = site.settled(work)
    work, read = site.noted(work, outcome.notes, "reviewer")
    verdict = outcome.answer
    said: list[Event] = [
        *read,
        *(
            AgentCompleted(
                id="", workflow_id=wf, agent="reviewer", task_id=focus, round=work.round, summary=words[:4_000]
            )
            for focus, words in outcome.said.items()
        ),
        *used,
    ]
    if verdict is None:
        return failing(site, state, work, f"there is no review: {outcome.cause}", said, again="review")
    said.insert(0, ReviewCompleted(id="", workflow_id=wf, verdict=verdict, round=work.round))
    work = replace(work, verdict=verdict)
    if verdict.approved:
        return succeeding(site, state, work, said)
    if work.round - work.forgiven >= site.job.profile.max_iterations:
        return await appealing(site, state, work, tuple(said))
    work = replace(work, task=REVIEW_ROUND, round=work.round + 1)
    started = begins(site, answer_to(verdict, work.agreed), work.round)
    return site.onward(state, work, "develop", (*said, *started))
