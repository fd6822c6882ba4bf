"""Carries out one task in the worktree."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from ...contract.plan import Comment, Plan, Task, Verdict
from ...contract.workflow import Note
from ...domain.plan import MERGE
from ...redaction import ours
from ...tools.remember import REMEMBERING
from ...tools.shell import report
from ...tools.toolbox import READING, WRITING, one_line, shorten
from ...workspace.lanes import still_marked
from ...workspace.tree import Tree
from ..artifacts import Basket
from ..prompts import prompt
from ..site import Site
from ..state import REVIEW_ROUND, Going, Work
from .architect import notes_read
from .betrayal import betrayed
from .checks import KEPT_BYTES, VERIFICATION_SECONDS
from .guides import guides
from .lessons import remembered
from .loop import Part, talk
from .material import told

_REVIEWED = "The Reviewer sent the work back. Change what is asked for here"
_MERGE = (
    "The task below was done, while others worked beside it; the two contradict each other. The files named hold both "
    "sides between git's conflict markers: the first side is what the branch has now, the second what the task made of "
    "it. Bring both intents together, leave no marker, and do no more than that"
)


class FinishTask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    summary: Annotated[str, Meta(min_length=1, description="what you changed and why, or what stands in the way")]
    gave_up: Annotated[bool, Meta(description="true when the task cannot be done")] = False


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """``cause`` is empty when the task is done and its verification, if it has one, exited with 0."""

    task: Task
    summary: str
    notes: tuple[Note, ...] = ()
    verification_exit: int | None = None
    cause: str = ""


async def carry_out(site: Site, work: Work, lane: Tree, id_: str, going: Going) -> Done:
    """A task of the plan, or its merge with what others did meanwhile, in a worktree of its own."""
    planned = work.named(id_)
    task = merge_of(planned, going.files) if going.commit else planned
    kind = _MERGE if going.commit else "Your task"
    files = going.files if going.commit else ()
    desk = Desk(tree=lane, base=going.base, begun=going.begun, round=going.round, files=files)
    return await _work(site, work, task, kind, desk)


async def answer(site: Site, work: Work) -> Done:
    """The round that answers a review, in the worktree with everybody's work."""
    assert work.verdict is not None
    desk = Desk(tree=await site.tree(work), base=work.top, begun=work.begun, round=work.round)
    return await _work(site, work, answer_to(work.verdict, work.agreed, work.appeals), _REVIEWED, desk)


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Where work is done, on top of which commit, and since which attempt. In ``files`` no marker of a conflict may be
    left."""

    tree: Tree
    base: str
    begun: int
    round: int
    files: tuple[str, ...] = ()


async def _work(site: Site, work: Work, task: Task, kind: str, desk: Desk) -> Done:
    label = site.label("developer", task.id, desk.round)
    basket = site.basket(label)
    verification = Verification(desk, task.verification, basket)
    part = Part(
        label=label,
        system=prompt("developer"),
        opening=lambda: _opening(site, work, task, kind, desk.tree),
        skills=READING | WRITING | REMEMBERING,
        tool="finish_task",
        tool_description="Ends the task. The verification is run then; if it fails, you get its output and go on.",
        answer=FinishTask,
        accept=verification.accept,
        basket=basket,
    )
    outcome = await talk(site, work, part, tree=desk.tree, begun=desk.begun)
    if outcome.answer is None:
        cause = outcome.cause
        return Done(task=task, summary=cause, cause=cause, notes=outcome.notes, verification_exit=verification.exit)
    said, exit_ = outcome.answer, 0 if task.verification else None
    if said.gave_up:
        cause = f"the developer gave up: {one_line(said.summary, 400)}"
        return Done(task=task, summary=said.summary, cause=cause, notes=outcome.notes)
    return Done(task=task, summary=said.summary, notes=outcome.notes, verification_exit=exit_)


class Verification:
    """The task's own command, run here and not only claimed. ``exit`` is that of the last run."""

    def __init__(self, desk: Desk, command: str, basket: Basket) -> None:
        self._desk = desk
        self._command = command
        self._basket = basket
        self.exit: int | None = None

    async def accept(self, finish: FinishTask) -> str:
        """What the verification wrote is looked through too: it is committed with the rest."""
        if finish.gave_up:
            return ""
        if marked := still_marked(self._desk.tree, self._desk.files):
            return f"there are still conflict markers in {', '.join(marked)}; settle every one of them"
        return await self._run() or await betrayed(self._desk.tree, ours(), self._desk.base)

    async def _run(self) -> str:
        if not self._command:
            return ""
        ended = await self._desk.tree.run(self._command, VERIFICATION_SECONDS, KEPT_BYTES)
        self.exit = ended.code
        said = report(ended, VERIFICATION_SECONDS)
        await self._basket.report(f"$ {self._command}\n{said}\n".encode())
        if ended.code == 0 and not ended.timed_out:
            return ""
        how = f"the verification `{self._command}` does not pass: {said}"
        return shorten(how, 12_000)


def merge_of(task: Task, files: Sequence[str]) -> Task:
    """The work that a task's conflict with others makes."""
    return Task(
        id=f"{MERGE}{task.id}",
        title=f"Merge: {task.title}"[:120],
        description=f"What the task {task.id} changed contradicts what others changed meanwhile in {', '.join(files)}.",
        files=tuple(files),
        verification=task.verification,
    )


def answer_to(verdict: Verdict, plan: Plan, appeals: Sequence[str] = ()) -> Task:
    """The task of a round that answers a review; and, of ``appeals``, what a person said of the work last."""
    person = ["", f"A person has looked at the work, and says: {appeals[-1]}"] if appeals else []
    return Task(
        id=REVIEW_ROUND,
        title="Answer the review",
        description="\n".join(
            [verdict.summary, "", *(f"- {in_a_line(comment)}" for comment in verdict.comments), *person]
        ),
        verification=plan.test_command,
    )


def message_of(task: Task, workflow_id: str) -> str:
    """The commit's message; its trailers say whose work it is."""
    title = " ".join(task.title.split())
    return f"{title}\n\n{task.description.strip()}\n\nAmelia-Workflow: {workflow_id}\nAmelia-Task: {task.id}\n"


async def _opening(site: Site, work: Work, task: Task, kind: str, tree: Tree) -> str:
    files = f"Files: {', '.join(task.files)}" if task.files else ""
    verification = f"Verification: `{task.verification}`" if task.verification else "There is no verification command."
    tests = f"All of the project's tests: `{work.agreed.test_command}`" if work.agreed.test_command else ""
    about = "\n\n".join(filter(None, (f"# {task.title}", task.description, files, verification, tests)))
    parts = (
        await guides(tree),
        remembered((*work.lessons[::-1], *site.job.lessons)),
        told(site.job.issue),
        f"The approved plan: {work.agreed.summary}",
        _others(work, task),
        notes_read(work),
        f'{kind}:\n\n<task id="{task.id}">\n{about}\n</task>',
    )
    return "\n\n".join(filter(None, (text.strip() for text in parts)))


def _others(work: Work, task: Task) -> str:
    beside = {id_: "worked on by somebody else now" for id_ in work.active if id_ != task.id}
    states: dict[str, str] = {**beside, **work.outcomes}
    return "\n".join(f"- {t.id} ({states.get(t.id, 'to come')}): {t.title}" for t in work.agreed.tasks if t != task)


def in_a_line(comment: Comment) -> str:
    where = f"{comment.file}:{comment.line}: " if comment.line else f"{comment.file}: " if comment.file else ""
    return f"{comment.severity}: {where}{comment.message}"
