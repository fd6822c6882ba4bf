"""Which work begins next, said before it begins."""

from collections.abc import Sequence

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentStarted, TaskCompleted, TaskStarted
from ...contract.plan import Task
from ...domain.plan import blocked_by, ready
from ..site import Site
from ..state import State, Work
from .ending import failing

LONGEST_TEXT = 8_000


def plans(site: Site, state: State, work: Work, said: Sequence[Event] = ()) -> State:
    started = AgentStarted(id="", workflow_id=site.job.workflow_id, agent="architect", round=work.round)
    return site.onward(state, replace(work, task=""), "plan", (*said, started))


def next_task(site: Site, state: State, work: Work, said: Sequence[Event]) -> State:
    """The next task in dependency order; the review when all are done; the end when one of them failed."""
    wf = site.job.workflow_id
    lost = blocked_by(work.agreed, work.outcomes)
    skipped = tuple(
        TaskCompleted(id="", workflow_id=wf, task_id=id_, status="skipped", summary=f"it depends on {cause}")
        for id_, cause in lost.items()
    )
    work = replace(work, outcomes={**work.outcomes, **dict.fromkeys(lost, "skipped")})
    said = (*said, *skipped)
    done = frozenset(id_ for id_, status in work.outcomes.items() if status == "completed")
    left = [task for task in ready(work.agreed, done) if task.id not in work.outcomes]
    if left:
        go = work.goes.get(left[0].id, 0) + 1
        work = replace(work, task=left[0].id, round=go, goes={**work.goes, left[0].id: go})
        return site.onward(state, work, "develop", (*said, *begins(site, left[0], go)))
    failed = [id_ for id_, status in work.outcomes.items() if status == "failed"]
    if failed:
        return failing(site, state, work, work.cause or f"the task {failed[0]} failed", said, again="develop")
    return review(site, state, replace(work, round=work.reviews + 1), said)


def review(site: Site, state: State, work: Work, said: Sequence[Event]) -> State:
    started = AgentStarted(id="", workflow_id=site.job.workflow_id, agent="reviewer", round=work.round)
    return site.onward(state, replace(work, task="", reviews=work.round), "review", (*said, started))


def begins(site: Site, task: Task, round: int) -> tuple[Event, ...]:  # noqa: A002 - the events' own word
    wf = site.job.workflow_id
    return (
        TaskStarted(
            id="",
            workflow_id=wf,
            task_id=task.id,
            title=task.title,
            description=task.description[:LONGEST_TEXT],
            round=round,
        ),
        AgentStarted(id="", workflow_id=wf, agent="developer", task_id=task.id, round=round),
    )
