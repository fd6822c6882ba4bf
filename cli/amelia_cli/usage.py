"""``amelia workflows usage``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from . import options
from .printing import cells, clean, document, dollars

if TYPE_CHECKING:
    from amelia.contract.views import UsageView
    from amelia.contract.workflow import Money

_COUNTS = ("INPUT", "OUTPUT", "CACHE READ", "CACHE WRITTEN", "COST")
_BY = ("agent", "task", "model", "attempt")


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--by", type=click.Choice(_BY), help="Add up by one of these.  [default: agent, task and model]")
@options.looking
@options.output
def usage(workflow: str, by: str | None, url: str, profile: str, settings: str | None, output: str) -> None:
    """Show tokens and cost of each agent, on each task, with each model. Cached tokens are counted apart.

    \b
    Examples:
      amelia workflows usage wf-3f2a
      amelia workflows usage wf-3f2a --by model
      amelia workflows usage wf-3f2a --by attempt --local
    """
    plane = options.look(url, profile, settings)
    view = plane.usage(plane.resolve(workflow))
    if output == "json":
        document(view)
        return
    head, rows = _shares(view) if by is None else _sums(view, by)
    last = ("all", *[""] * (len(head) - 1), *_counts(view.spent))
    for line in cells((*head, *_COUNTS), [*rows, last]):
        click.echo(line)


def _shares(view: "UsageView") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = [(clean(s.agent) or "-", clean(s.task_id), clean(s.model), *_counts(s.used)) for s in view.shares]
    return ("AGENT", "TASK", "MODEL"), rows


def _sums(view: "UsageView", by: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    sums = {
        "agent": view.agents,
        "task": view.tasks,
        "model": view.models,
        "attempt": {str(attempt): used for attempt, used in sorted(view.attempts.items())},
    }[by]
    return (by.upper(),), [(clean(name) or "-", *_counts(used)) for name, used in sums.items()]


def _counts(used: "Money") -> Iterator[str]:
    counted = (used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens)
    yield from map(str, counted)
    yield dollars(used)
