"""How things look on a terminal: plain text that needs no library."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from amelia.contract.plan import Plan
    from amelia.contract.views import PlanView, WorkflowView
    from amelia.contract.workflow import Budget, Money

_COLOURS = {"blocked": "yellow", "completed": "green", "failed": "red", "cancelled": "red", "in_progress": "cyan"}


def coloured() -> bool:
    """Whether stdout is a terminal and its owner has not asked for no colour (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def document(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def json_line(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())


def clean(text: str) -> str:
    """On one line and without control characters, so that nobody's text can steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def clean_block(text: str) -> str:
    return "\n".join(clean(line.expandtabs(4)) for line in text.splitlines())


def paint(text: str, colour: str) -> str:
    return click.style(text, fg=colour) if colour and coloured() else text


def paint_status(status: str, phase: str = "") -> str:
    return paint(f"{status} ({phase})" if phase else status, _COLOURS.get(status, ""))


def standing(status: str, reason: str) -> str:
    """The status and why; a reason that begins with the status has said it already."""
    said = clean(reason)
    if said.startswith(f"{status} by "):
        return paint_status(status) + said.removeprefix(status)
    return paint_status(status) + (f": {said}" if said else "")


def is_spent(view: "WorkflowView") -> bool:
    """Whether it is its budget that paused it, and nobody's order."""
    return view.status == "paused" and "budget" in view.reason and not view.reason.startswith("paused by ")


def resume_with(view: "WorkflowView") -> str:
    """The command that ends its pause, and does not lead into the same one again."""
    more = " --budget DOLLARS" if is_spent(view) else ""
    return f"amelia workflows resume {view.id}{more}"


def dollars(spent: "Money") -> str:
    return f"${spent.cost_microdollars / 1_000_000:.4f}"


def bounds(budget: "Budget") -> str:
    """A budget in words; empty when it sets no bound."""
    said = [f"${budget.microdollars / 1_000_000:.2f}"] if budget.microdollars else []
    return " and ".join([*said, f"{budget.tokens} tokens"] if budget.tokens else said)


def ago(moment: str) -> str:
    """How long since a UTC time in ISO 8601; empty when it is none."""
    seconds = _since(moment)
    return "" if seconds is None else duration(seconds)


def ahead(moment: str) -> str:
    """How long until a UTC time in ISO 8601; empty when it is none."""
    seconds = _since(moment)
    return "" if seconds is None else duration(-seconds)


def _since(moment: str) -> float | None:
    from datetime import UTC, datetime

    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (datetime.now(UTC) - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def cells(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, two spaces apart; colour does not count."""
    widths = [max(len(click.unstyle(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        padded = (cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _paragraphs(text: str, indent: str = "") -> Iterator[str]:
    """Wrapped between words on a terminal, whole otherwise."""
    lines = clean_block(text).splitlines()
    if not sys.stdout.isatty():
        yield from (f"{indent}{line}" for line in lines)
        return
    from shutil import get_terminal_size
    from textwrap import wrap

    width = max(20, get_terminal_size().columns)
    for line in lines:
        yield from wrap(line, width, initial_indent=indent, subsequent_indent=indent) or [""]


def plan_lines(plan: "Plan", seen: "PlanView | None" = None) -> Iterator[str]:
    """``seen`` adds what is known beside the plan: what changed, what it may cost, until when it waits."""
    yield from _paragraphs(plan.summary)
    for number, task in enumerate(plan.tasks, 1):
        yield ""
        after = f" (after {', '.join(task.dependencies)})" if task.dependencies else ""
        yield paint(f"{number}. {clean(task.title)}", "cyan") + f"  [{task.id}]{after}"
        yield from _paragraphs(task.description, indent="   ")
        if task.files:
            yield f"   files: {clean(', '.join(task.files))}"
        if task.verification:
            yield f"   done when: {clean(task.verification)}"
    if plan.test_command:
        yield ""
        yield f"tests: {clean(plan.test_command)}"
    if seen is not None:
        yield from _beside(seen)


def _beside(seen: "PlanView") -> Iterator[str]:
    if seen.requires == "review":
        yield ""
        yield "The work is done, and the Reviewer does not accept it:"
        yield from (f"  - {clean(point)}" for point in seen.unresolved)
        yield f"The change: amelia workflows diff {seen.workflow_id}"
    if seen.changes:
        yield ""
        yield from diff_lines(seen.changes)
    if seen.estimated_microdollars or seen.deadline:
        yield ""
    if seen.estimated_microdollars:
        yield f"estimate: ${seen.estimated_microdollars / 1_000_000:.2f}"
    if seen.deadline:
        yield f"deadline: {seen.deadline}, in {ahead(seen.deadline)}; undecided by then it counts as rejected"


def diff_lines(text: str) -> Iterator[str]:
    """A unified diff, in colours on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in clean_block(text).splitlines():
        yield paint(line, colours.get(line[:1], ""))
