"""Carries out one task in the worktree."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ...contract.plan import Comment, Plan, Task, Verdict
from ...contract.workflow import Note
from ...tools.shell import report
from ...tools.toolbox import READING, WRITING, one_line, shorten
from ...workspace.tree import Tree
from ..prompts import prompt
from ..site import Site
from ..state import REVIEW_ROUND, Work
from .architect import notes_read, told
from .loop import Part, talk

VERIFICATION_SECONDS = 600


class FinishTask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    summary: Annotated[str, Meta(min_length=1, description="what you changed and why, or what stands in the way")]
    gave_up: Annotated[bool, Meta(description="true when the task cannot be done")] = False


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """``cause`` is empty when the task is done and its verification, if it has one, exited with 0."""

    summary: str
    notes: tuple[Note, ...] = ()
    verification_exit: int | None = None
    cause: str = ""


async def carry_out(site: Site, work: Work, task: Task) -> Done:
    verification = Verification(await site.tree(work), task.verification)
    part = Part(
        label=site.label("developer", task.id, work.round),
        system=prompt("developer"),
        opening=_opening(site, work, task),
        skills=READING | WRITING,
        tool="finish_task",
        tool_description="Ends the task. The verification is run then; if it fails, you get its output and go on.",
        answer=FinishTask,
        accept=verification.accept,
    )
    outcome = await talk(site, work, part)
    if outcome.answer is None:
        cause = outcome.cause
        return Done(summary=cause, cause=cause, notes=outcome.notes, verification_exit=verification.exit)
    said, exit_ = outcome.answer, 0 if task.verification else None
    if said.gave_up:
        cause = f"the developer gave up: {one_line(said.summary, 400)}"
        return Done(summary=said.summary, cause=cause, notes=outcome.notes)
    return Done(summary=said.summary, notes=outcome.notes, verification_exit=exit_)


class Verification:
    """The task's own command, run here and not only claimed. ``exit`` is that of the last run."""

    def __init__(self, tree: Tree, command: str) -> None:
        self._tree = tree
        self._command = command
        self.exit: int | None = None

    async def accept(self, finish: FinishTask) -> str:
        if finish.gave_up or not self._command:
            return ""
        ended = await self._tree.run(self._command, VERIFICATION_SECONDS)
        self.exit = ended.code
        if ended.code == 0 and not ended.timed_out:
            return ""
        how = f"the verification `{self._command}` does not pass: {report(ended, VERIFICATION_SECONDS)}"
        return shorten(how, 12_000)


def answer_to(verdict: Verdict, plan: Plan) -> Task:
    """The task of a round that answers a review."""
    return Task(
        id=REVIEW_ROUND,
        title="Answer the review",
        description="\n".join([verdict.summary, "", *(f"- {in_a_line(comment)}" for comment in verdict.comments)]),
        verification=plan.test_command,
    )


def message_of(task: Task, workflow_id: str) -> str:
    """The commit's message; its trailers say whose work it is."""
    title = " ".join(task.title.split())
    return f"{title}\n\n{task.description.strip()}\n\nAmelia-Workflow: {workflow_id}\nAmelia-Task: {task.id}\n"


def _opening(site: Site, work: Work, task: Task) -> str:
    others = "\n".join(f"- {t.id} ({work.outcomes.get(t.id, 'to come')}): {t.title}" for t in work.agreed.tasks)
    files = f"Files: {', '.join(task.files)}\n\n" if task.files else ""
    verification = f"Verification: `{task.verification}`" if task.verification else "There is no verification command."
    kind = "The Reviewer sent the work back. Change what is asked for here" if task.id == REVIEW_ROUND else "Your task"
    return (
        f"{told(site.job.issue)}\n\nThe approved plan: {work.agreed.summary}\n\n{others}\n\n{notes_read(work)}"
        f'{kind}:\n\n<task id="{task.id}">\n# {task.title}\n\n{task.description}\n\n{files}{verification}\n</task>'
    )


def in_a_line(comment: Comment) -> str:
    where = f"{comment.file}:{comment.line}: " if comment.line else f"{comment.file}: " if comment.file else ""
    return f"{comment.severity}: {where}{comment.message}"
