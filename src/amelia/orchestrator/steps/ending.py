"""How a workflow ends: with its work handed in, or with a cause and whatever work there is."""

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import ArtifactStored, WorkflowCompleted, WorkHandedIn
from ..agents.developer import in_a_line
from ..site import Site
from ..state import State, Step, Work, work_of

BUNDLE = "application/x-git-bundle"


MOST_UNRESOLVED = 50


def failing(
    site: Site,
    state: State,
    work: Work,
    cause: str,
    said: Sequence[Event] = (),
    *,
    again: Step,
    blame: Literal["", "repository"] = "",
) -> State:
    """``again`` is the step at which a retry goes on."""
    work = replace(work, result="failed", cause=cause, again=again, blame=blame)
    return site.onward(state, work, "finish", said)


def succeeding(site: Site, state: State, work: Work, said: Sequence[Event]) -> State:
    if work.bundle is None:
        cause = "nothing was changed, so there is nothing to hand in; say in the issue what is still missing"
        return failing(site, state, replace(work, outcomes={}), cause, said, again="develop")
    return site.onward(state, replace(work, result="success"), "finish", said)


async def finish(site: Site, state: State) -> State:
    work = work_of(state)
    said = await (_handed_in(site, work) if work.result == "success" else _saved(site, work))
    ended = WorkflowCompleted(
        id="",
        workflow_id=site.job.workflow_id,
        result="success" if work.result == "success" else "failed",
        cause=work.cause,
        summary=_summary(work)[:4_000],
        unresolved=unresolved(work),
        blame=work.blame,
    )
    return site.onward(state, work, "end", (*said, ended))


def unresolved(work: Work) -> tuple[str, ...]:
    """What a person should look at: tasks that were not finished, commands that were left to people,
    and what the last review asks for."""
    tasks = [f"task {id_} {status}" for id_, status in work.outcomes.items() if status != "completed"]
    comments = work.verdict.comments if work.verdict else ()
    asked = [in_a_line(comment)[:500] for comment in comments if comment.severity != "info"]
    return (*tasks, *work.for_people, *asked)[:MOST_UNRESOLVED]


def _summary(work: Work) -> str:
    left_out = f"Not approved, and not done: {'; '.join(work.left_out)}." if work.left_out else ""
    return "\n\n".join(filter(None, (work.verdict.summary if work.verdict else "", left_out)))


async def _handed_in(site: Site, work: Work) -> tuple[Event, ...]:
    assert work.bundle is not None
    stored = await _saved(site, work)
    handed_in = WorkHandedIn(
        id="",
        workflow_id=site.job.workflow_id,
        bundle=work.bundle,
        branch=site.job.branch,
        commit=work.commit,
        base_commit=work.base_commit,
        plan_sha256=work.plan_sha256,
        diff=stored[-1].claim,
    )
    return (*stored, handed_in)


async def _saved(site: Site, work: Work) -> tuple[ArtifactStored, ...]:
    """The finished tasks, as a bundle and as a diff. Those of a workflow that failed are not handed in, but not lost
    either."""
    if work.bundle is None:
        return ()
    wf, tree = site.job.workflow_id, await site.tree(work)
    diff = await site.objects.put(f"{site.job.folder}/diff", await tree.patch())
    return (
        ArtifactStored(id="", workflow_id=wf, name="work.bundle", claim=work.bundle, media_type=BUNDLE),
        ArtifactStored(id="", workflow_id=wf, name="work.diff", claim=diff, media_type="text/x-diff"),
    )
