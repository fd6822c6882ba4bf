"""The Developer's step: what became of one task, as one commit on the branch; the others go on meanwhile."""

import contextlib
from typing import Literal

from msgspec.structs import replace

from ...contract.envelope import Event
from ...contract.events import AgentCompleted, ArtifactStored, TaskCompleted
from ...contract.plan import Task
from ...errors import Refused
from ...workspace.lanes import rebase
from ...workspace.tree import Tree
from ..agents.developer import Done, answer, merge_of, message_of
from ..crew import without
from ..site import Site
from ..state import REVIEW_ROUND, Going, State, Work, work_of
from .ending import BUNDLE, failing
from .routing import begins, onwards, review

Status = Literal["completed", "failed"]


async def develop(site: Site, state: State) -> State:
    work = work_of(state)
    if work.task == REVIEW_ROUND:
        return await _answered(site, state, work)
    if not work.active:
        return onwards(site, state, work, ())
    id_, done, lane = await site.crew.first(work)
    going, task = work.active[id_], work.named(id_)
    work, heard = _heard(site, work, done, going.name(id_))
    if done.cause:
        return await _lost(site, state, work, task, done, lane, heard)
    try:
        commit = await lane.commit(message_of(task, site.job.workflow_id), onto=going.base)
        if commit and going.base != work.top:
            alone, bundle = commit, await lane.bundle()
            if files := await rebase(lane, commit, work.top):
                said = (_agent(site, going.name(id_), going.round, done), *heard)
                going = replace(going, commit=alone, files=files)
                return await _merging(site, state, work, task, going, bundle, said)
            commit = await lane.head()
    except Refused as error:
        return await _lost(site, state, work, task, replace(done, cause=str(error)), lane, heard)
    work = await _onto_branch(site, work, commit)
    work = replace(work, outcomes={**work.outcomes, id_: "completed"})
    return await _over(site, state, work, task, (*_ended(site, work, task, going, "completed", done, commit), *heard))


async def _lost(
    site: Site, state: State, work: Work, task: Task, done: Done, lane: Tree, heard: tuple[Event, ...]
) -> State:
    going, kept = work.active[task.id], tuple[Event, ...]()
    with contextlib.suppress(Refused):
        kept = await _unfinished(site, lane, task.id, going.base)
    said = (*_ended(site, work, task, going, "failed", done, ""), *heard, *kept)
    return await _over(site, state, _failed(work, task, done), task, said)


async def _over(site: Site, state: State, work: Work, task: Task, said: tuple[Event, ...]) -> State:
    await site.crew.dismiss(await site.tree(work), task.id)
    return onwards(site, state, replace(work, active=without(work.active, task.id)), said)


async def _merging(
    site: Site, state: State, work: Work, task: Task, going: Going, bundle: bytes, said: tuple[Event, ...]
) -> State:
    """What others did meanwhile contradicts it: to resolve that is work for the Developer, where both sides are."""
    name = going.name(task.id)
    go = work.goes.get(name, 0) + 1
    claim = await site.objects.put(f"{site.job.folder}/bundle", bundle)
    going = replace(going, base=work.top, bundle=claim, round=go, begun=site.epoch)
    work = replace(work, active={**work.active, task.id: going}, goes={**work.goes, name: go})
    return site.onward(state, work, "develop", (*said, *begins(site, merge_of(task, going.files), go)))


async def _answered(site: Site, state: State, work: Work) -> State:
    """The round that answers a review: in the main worktree, with nothing beside it."""
    tree, done = await site.tree(work), await answer(site, work)
    work, heard = _heard(site, work, done, REVIEW_ROUND)
    said = (_agent(site, REVIEW_ROUND, work.round, done), *heard)
    if done.cause:
        kept = await _unfinished(site, tree, REVIEW_ROUND, work.top)
        await tree.reset(work.top)
        lost = (_task(site, REVIEW_ROUND, work.round, "failed", done, ""), *said, *kept)
        return failing(site, state, work, f"the answer to the review failed: {done.cause}", lost, again="develop")
    commit = await tree.commit(message_of(done.task, site.job.workflow_id), onto=work.top)
    work = await _onto_branch(site, work, commit)
    told = (_task(site, REVIEW_ROUND, work.round, "completed", done, commit), *said)
    return review(site, state, replace(work, reply=done.summary[:4_000]), told)


async def _onto_branch(site: Site, work: Work, commit: str) -> Work:
    """Stores the branch so far, so that another machine can go on from here."""
    if not commit:
        return work
    tree = await site.tree(work)
    await tree.reset(commit)
    bundle = await site.objects.put(f"{site.job.folder}/bundle", await tree.bundle())
    return replace(work, commit=commit, bundle=bundle)


async def _unfinished(site: Site, tree: Tree, task: str, base: str) -> tuple[Event, ...]:
    """What was begun is kept as an artifact."""
    found = await tree.snapshot(await tree.content_of(base))
    if found is None:
        return ()
    claim, wf = await site.objects.put(f"{site.job.folder}/artifact", found.bundle), site.job.workflow_id
    return (ArtifactStored(id="", workflow_id=wf, name=f"unfinished-{task}.bundle", claim=claim, media_type=BUNDLE),)


def _failed(work: Work, task: Task, done: Done) -> Work:
    cause = work.cause or f"the task {task.id} failed: {done.cause}"
    return replace(work, outcomes={**work.outcomes, task.id: "failed"}, cause=cause)


def _heard(site: Site, work: Work, done: Done, name: str) -> tuple[Work, tuple[Event, ...]]:
    work, used = site.settled(work)
    work, read = site.noted(work, done.notes, "developer", name)
    return work, (*read, *used)


def _ended(
    site: Site, work: Work, task: Task, going: Going, status: Status, done: Done, commit: str
) -> tuple[TaskCompleted | AgentCompleted, ...]:
    """Of a task that had to be merged, both the merge and the task have ended."""
    name, go = going.name(task.id), going.round
    said: list[TaskCompleted | AgentCompleted] = [
        _task(site, name, go, status, done, commit),
        _agent(site, name, go, done),
    ]
    if going.commit:
        said.insert(1, _task(site, task.id, work.goes[task.id], status, done, commit))
    return tuple(said)


def _task(site: Site, name: str, go: int, status: Status, done: Done, commit: str) -> TaskCompleted:
    return TaskCompleted(
        id="",
        workflow_id=site.job.workflow_id,
        task_id=name,
        status=status,
        commit=commit,
        summary=done.summary[:4_000],
        verification_exit=done.verification_exit,
        round=go,
    )


def _agent(site: Site, name: str, go: int, done: Done) -> AgentCompleted:
    wf, summary = site.job.workflow_id, done.summary[:4_000]
    return AgentCompleted(id="", workflow_id=wf, agent="developer", task_id=name, round=go, summary=summary)
