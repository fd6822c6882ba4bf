"""The commands that look at dead letters."""

import click

from . import options
from .printing import ago, clean, clean_block, document
from .tables import table

_STATES = ["waiting", "redriven", "discarded"]


@click.command("list")
@click.option("--state", type=click.Choice(_STATES), default=None, help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", default="", help="Go on after the page that ended with this cursor.")
@options.fleet
@options.output
def list_letters(
    state: str | None, limit: int, cursor: str, url: str, profile: str, settings: str | None, output: str
) -> None:
    """List the messages that were given up, newest first, each with its cause.

    \b
    Example:
      amelia dead-letters list --state waiting
    """
    page = options.reach(url, profile, settings).dead_letters(state=state or "", limit=limit, cursor=cursor)
    if output == "json":
        document(page)
        return
    if not page.items:
        click.echo("no dead letters" + (f" are {state}" if state else ""))
        return
    rows = [
        (x.id, x.state, x.source, clean(x.type), str(x.receives), ago(x.last_at), clean(x.cause)[:100])
        for x in page.items
    ]
    for line in table(("ID", "STATE", "QUEUE", "TYPE", "RECEIVES", "AGE", "CAUSE"), rows, flexible=("TYPE", "CAUSE")):
        click.echo(line)
    if page.next:
        click.echo(f"more: amelia dead-letters list --cursor {page.next}", err=True)


@click.command()
@click.argument("letter", metavar="ID")
@options.fleet
@options.output
def show(letter: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Show one dead letter: why it was given up, and its body as it came.

    \b
    Example:
      amelia dead-letters show 8a1c
    """
    plane = options.reach(url, profile, settings)
    view = plane.dead_letter(plane.resolve_letter(letter))
    if output == "json":
        document(view)
        return
    facts = {
        "letter": view.id,
        "state": view.state + (f" by {clean(view.decided_by)}" if view.decided_by else ""),
        "cause": clean(view.cause),
        "queue": view.source,
        "receives": str(view.receives),
        "type": clean(view.type),
        "message": clean(view.message_id),
        "workflow": clean(view.workflow_id),
        "first": f"{view.first_at}, {ago(view.first_at)} ago",
        "last": f"{view.last_at}, {ago(view.last_at)} ago",
        "intact": "" if view.intact else "no: it cannot be sent again, only discarded",
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name:<11}{value}")
    click.echo(f"\n{clean_block(view.body)}")
