"""``amelia queue``."""

import click

from . import options
from .printing import ago, ahead, clean, document
from .tables import table


@click.command()
@options.fleet
@options.output
def queue(url: str, profile: str, settings: str | None, output: str) -> None:
    """Show who waits for a turn: in which place, since when, for what, and when it may start.

    A higher priority goes first; then those who have fewest workflows in progress; then who waits longest.
    The start is estimated from how long workflows took lately.

    \b
    Examples:
      amelia queue
      amelia queue --output json
    """
    view = options.reach(url, profile, settings).queue()
    if output == "json":
        document(view)
        return
    click.echo(f"{view.in_progress} of {view.limit} in progress, {view.waiting} waiting")
    if not view.items:
        return
    click.echo()
    rows = [
        (
            str(item.place.position),
            item.workflow_id,
            clean(item.owner),
            str(item.priority),
            ago(item.waiting_since),
            f"in {ahead(item.place.estimated_start)}" if item.place.estimated_start else "",
            clean(item.title)[:40],
            clean(item.place.limit),
        )
        for item in view.items
    ]
    head = ("#", "ID", "OWNER", "PRIORITY", "WAITS", "STARTS", "TITLE", "FOR")
    for line in table(head, rows, flexible=("OWNER", "TITLE", "FOR")):
        click.echo(line)
