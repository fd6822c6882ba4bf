"""Which work begins next, said before it begins."""

from collections.abc import Sequence

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentStarted, TaskCompleted, TaskStarted
from ...contract.plan import Task
from ...domain.plan import blocked_by, ready
from ..agents.reviewer import focuses
from ..site import Site
from ..state import Going, State, Work
from .ending import failing

LONGEST_TEXT = 8_000


def plans(site: Site, state: State, work: Work, said: Sequence[Event] = ()) -> State:
    started = AgentStarted(id="", workflow_id=site.job.workflow_id, agent="architect", round=work.round)
    return site.onward(state, replace(work, task=""), "plan", (*said, started))


def onwards(site: Site, state: State, work: Work, said: Sequence[Event]) -> State:
    """Begins what can begin, in dependency order and as much as may be worked at once. When nothing is left to do: the
    review, or the end when a task failed."""
    wf = site.job.workflow_id
    lost = blocked_by(work.agreed, work.outcomes)
    skipped = tuple(
        TaskCompleted(id="", workflow_id=wf, task_id=id_, status="skipped", summary=f"it depends on {cause}")
        for id_, cause in lost.items()
    )
    work = replace(work, outcomes={**work.outcomes, **dict.fromkeys(lost, "skipped")})
    work, begun = _begun(site, work)
    said = (*said, *skipped, *begun)
    if work.active:
        return site.onward(state, replace(work, task=""), "develop", said)
    failed = [id_ for id_, status in work.outcomes.items() if status == "failed"]
    if failed:
        return failing(site, state, work, work.cause or f"the task {failed[0]} failed", said, again="develop")
    return review(site, state, replace(work, round=work.reviews + 1), said)


def _begun(site: Site, work: Work) -> tuple[Work, tuple[Event, ...]]:
    done = frozenset(id_ for id_, status in work.outcomes.items() if status == "completed")
    left = [t for t in ready(work.agreed, done) if t.id not in work.outcomes and t.id not in work.active]
    active, goes, said = dict(work.active), dict(work.goes), list[Event]()
    for task in left[: max(0, site.job.profile.parallel_tasks - len(active))]:
        go = goes[task.id] = goes.get(task.id, 0) + 1
        active[task.id] = Going(round=go, begun=site.epoch, base=work.top)
        said += begins(site, task, go)
    return replace(work, active=active, goes=goes), tuple(said)


def review(site: Site, state: State, work: Work, said: Sequence[Event]) -> State:
    wf = site.job.workflow_id
    started = tuple(
        AgentStarted(id="", workflow_id=wf, agent="reviewer", task_id=focus, round=work.round)
        for focus in focuses(site.job.profile)
    )
    return site.onward(state, replace(work, task="", reviews=work.round), "review", (*said, *started))


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
