"""The Developer's step: one task, one commit."""

from typing import Literal

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentCompleted, ArtifactStored, TaskCompleted
from ...contract.plan import Task
from ..agents.developer import Done, answer_to, carry_out, message_of
from ..site import Site
from ..state import REVIEW_ROUND, State, Work, work_of
from .ending import BUNDLE, failing
from .routing import next_task, review


async def develop(site: Site, state: State) -> State:
    work = work_of(state)
    task = _task(work)
    done = await carry_out(site, work, task)
    work, used = site.settled(work)
    work, read = site.noted(work, done.notes, "developer")
    heard = (*read, *used)
    if done.cause:
        return await _failed(site, state, work, task, done, heard)
    before = work.top
    work = await _kept(site, work, task)
    said = (*_said(site, work, "completed", done, work.top if work.top != before else ""), *heard)
    if task.id == REVIEW_ROUND:
        return review(site, state, replace(work, reply=done.summary[:4_000]), said)
    work = replace(work, outcomes={**work.outcomes, task.id: "completed"})
    return next_task(site, state, work, said)


def _task(work: Work) -> Task:
    if work.task != REVIEW_ROUND:
        return work.current
    assert work.verdict is not None
    return answer_to(work.verdict, work.agreed)


async def _kept(site: Site, work: Work, task: Task) -> Work:
    """Commits, and stores the branch so far, so that another machine can go on from here."""
    tree = await site.tree(work)
    commit = await tree.commit(message_of(task, site.job.workflow_id), onto=work.top)
    if not commit:
        return work
    bundle = await site.objects.put(f"{site.job.folder}/bundle", await tree.bundle())
    return replace(work, commit=commit, bundle=bundle)


async def _failed(site: Site, state: State, work: Work, task: Task, done: Done, heard: tuple[Event, ...]) -> State:
    """What was begun is kept as an artifact; the worktree goes back to the last finished task."""
    tree, wf = await site.tree(work), site.job.workflow_id
    said = [*_said(site, work, "failed", done, ""), *heard]
    unfinished = await tree.snapshot(await tree.content_of(work.top))
    if unfinished is not None:
        claim = await site.objects.put(f"{site.job.folder}/artifact", unfinished.bundle)
        name = f"unfinished-{task.id}.bundle"
        said.append(ArtifactStored(id="", workflow_id=wf, name=name, claim=claim, media_type=BUNDLE))
    await tree.reset(work.top)
    if task.id == REVIEW_ROUND:
        cause = f"the answer to the review failed: {done.cause}"
        return failing(site, state, work, cause, said, again="develop")
    cause = work.cause or f"the task {task.id} failed: {done.cause}"
    work = replace(work, outcomes={**work.outcomes, task.id: "failed"}, cause=cause)
    return next_task(site, state, work, said)


def _said(site: Site, work: Work, status: Literal["completed", "failed"], done: Done, commit: str) -> tuple[Event, ...]:
    wf, summary = site.job.workflow_id, done.summary[:4_000]
    return (
        TaskCompleted(
            id="",
            workflow_id=wf,
            task_id=work.task,
            status=status,
            commit=commit,
            summary=summary,
            verification_exit=done.verification_exit,
            round=work.round,
        ),
        AgentCompleted(id="", workflow_id=wf, agent="developer", task_id=work.task, round=work.round, summary=summary),
    )
