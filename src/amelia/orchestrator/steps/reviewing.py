"""The Reviewer's step: hand in, send back, or stop when it was sent back too often."""

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentCompleted, ReviewCompleted
from ...contract.plan import Verdict
from ..agents.developer import answer_to
from ..agents.reviewer import judge
from ..site import Site
from ..state import REVIEW_ROUND, State, work_of
from .ending import failing, succeeding
from .routing import begins


async def review_work(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    outcome = await judge(site, work)
    work = site.spend(work, outcome.usage)
    verdict = outcome.answer
    summary = (verdict.summary if verdict else outcome.cause)[:4_000]
    said: list[Event] = [
        AgentCompleted(id="", workflow_id=wf, agent="reviewer", round=work.round, summary=summary),
        site.tokens_used(work),
    ]
    if verdict is None:
        return failing(site, state, work, f"there is no review: {outcome.cause}", said)
    said.insert(0, ReviewCompleted(id="", workflow_id=wf, verdict=verdict, round=work.round))
    work = replace(work, verdict=verdict)
    if verdict.approved:
        return succeeding(site, state, work, said)
    if work.round >= site.job.profile.max_iterations:
        rounds = f"{work.round} round{'s' if work.round > 1 else ''}"
        return failing(site, state, work, f"review not satisfied after {rounds}: {_main_point(verdict)}", said)
    work = replace(work, task=REVIEW_ROUND, round=work.round + 1)
    started = begins(site, answer_to(verdict, work.agreed), work.round)
    return site.onward(state, work, "develop", (*said, *started))


def _main_point(verdict: Verdict) -> str:
    heavy = (comment.message for comment in verdict.comments if comment.severity in ("blocker", "major"))
    return next(heavy, verdict.summary)[:400]
