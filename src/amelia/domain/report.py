"""A workflow told to the people who get its change: the title and the body of a pull request."""

from collections.abc import Iterable

import msgspec

from ..contract.envelope import Event
from ..contract.events import ReviewCompleted, TaskCompleted, WorkflowCompleted, WorkflowRetried
from ..contract.plan import Comment, Plan, Task, Verdict
from ..contract.workflow import Issue, Money
from .neutral import elided, line, neutral

MOST_CHARACTERS = 65_536
"""GitHub's limit for a body; a title has 256."""
_TITLE, _SUMMARY, _LINE, _MOST = 256, 8_000, 300, 50
"""With these what comes before the tasks, and what comes after them, is each less than half of a body: when it is too
long, it is the list of tasks that loses its middle."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``tasks`` and ``verdict`` are the last word on each; ``spent`` is of all attempts."""

    workflow_id: str
    issue: Issue
    plan: Plan | None = None
    tasks: dict[str, TaskCompleted] = {}
    verdict: Verdict | None = None
    unresolved: tuple[str, ...] = ()
    spent: Money = Money()

    @property
    def draft(self) -> bool:
        """Whether something is left for a person: said so, a task that failed, or a review that did not approve."""
        named = {task.id for task in self.plan.tasks} if self.plan is not None else set(self.tasks)
        failed = any(task.status == "failed" for id_, task in self.tasks.items() if id_ in named)
        return bool(self.unresolved) or failed or (self.verdict is not None and not self.verdict.approved)


def gathered(workflow_id: str, issue: Issue, plan: Plan | None, spent: Money, told: Iterable[Event]) -> Report:
    """``told`` are the workflow's events in their order; the others among them are passed over."""
    tasks: dict[str, TaskCompleted] = {}
    verdict: Verdict | None = None
    unresolved: tuple[str, ...] = ()
    for event in told:
        match event:
            case TaskCompleted():
                tasks[event.task_id] = event
            case ReviewCompleted():
                verdict = event.verdict
            case WorkflowCompleted():
                unresolved = event.unresolved
            case WorkflowRetried(start=True):
                tasks, verdict, unresolved = {}, None, ()
    return Report(
        workflow_id=workflow_id,
        issue=issue,
        plan=plan,
        tasks=tasks,
        verdict=verdict,
        unresolved=unresolved,
        spent=spent,
    )


def marker(workflow_id: str) -> str:
    """What proves a pull request to be of this workflow. Invisible where its body is shown."""
    return f"<!-- amelia: {workflow_id} -->"


def marked(body: str, workflow_id: str) -> str:
    """The body with its marker at the end, within the limit."""
    end = f"\n\n{marker(workflow_id)}"
    plain = body.removesuffix("\n").removesuffix(end)
    return elided(plain, MOST_CHARACTERS - len(end)) + end


def title(report: Report) -> str:
    issue = report.issue
    named = issue.title if issue.id.casefold() in issue.title.casefold() else f"{issue.id}: {issue.title}"
    return line(named, _TITLE)


def body(report: Report) -> str:
    """Markdown. Nothing in it that an issue, a plan or a review says mentions, closes or embeds anything."""
    issue = report.issue
    parts = [f"Issue **{line(issue.id, 200)}**: {line(issue.title, 300)}"]
    if report.unresolved:
        parts.append(_section("Unresolved", (f"- {line(said, _LINE)}" for said in report.unresolved[:_MOST])))
    if report.plan is not None:
        parts.append(f"## Plan\n\n{neutral(report.plan.summary, _SUMMARY)}")
        parts.append(_section("Tasks", (_task(task, report.tasks.get(task.id)) for task in report.plan.tasks)))
    if report.verdict is not None:
        parts.append(_review(report.verdict))
    parts.append(_section("Cost", (_cost(report.spent), f"Workflow `{report.workflow_id}`.")))
    return marked("\n\n".join(parts), report.workflow_id)


def _section(name: str, lines: Iterable[str]) -> str:
    return f"## {name}\n\n" + "\n".join(lines)


def _task(task: Task, told: TaskCompleted | None) -> str:
    box = "x" if told is not None and told.status == "completed" else " "
    begun = f"- [{box}] **{line(task.title, 120)}**"
    if told is None:
        return f"{begun} (not done)"
    state = "" if told.status == "completed" else f" ({told.status})"
    commit = f" `{told.commit[:10]}`" if told.commit else ""
    summary = f": {line(told.summary, _LINE)}" if told.summary else ""
    return begun + state + commit + summary


def _review(verdict: Verdict) -> str:
    said = "Approved." if verdict.approved else "Not approved."
    left_out = len(verdict.comments) - _MOST
    lines = [f"- {_comment(comment)}" for comment in verdict.comments[:_MOST]]
    if left_out > 0:
        lines.append(f"- … and {left_out} more comments")
    return "\n\n".join(part for part in (f"## Review\n\n{said}", neutral(verdict.summary, _SUMMARY)) if part) + (
        "\n\n" + "\n".join(lines) if lines else ""
    )


def _comment(comment: Comment) -> str:
    where = f" `{line(comment.file, 200).replace('`', '')}{f':{comment.line}' if comment.line else ''}`"
    return f"**{comment.severity}**{where if comment.file else ''}: {line(comment.message, _LINE)}"


def _cost(spent: Money) -> str:
    cents = (spent.cost_microdollars + 5_000) // 10_000
    dollars = f"${cents // 100:,}.{cents % 100:02}" if cents or not spent.cost_microdollars else "less than $0.01"
    given = spent.input_tokens + spent.cache_read_tokens + spent.cache_write_tokens
    return f"{dollars} for {given:,} tokens read and {spent.output_tokens:,} written.  "
