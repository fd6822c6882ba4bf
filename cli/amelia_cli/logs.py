"""``amelia workflows logs``."""

import click

from . import options
from .views import JsonLines, Lines
from .watch import to_the_end, until_caught_up


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Stay until the workflow ends, over restarts of the fleet.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="N", help="Begin after the event of this sequence.")
@options.fleet
@options.output
def logs(workflow: str, follow: bool, after: int, url: str, profile: str, settings: str | None, output: str) -> None:
    """Print what happened: every event once, in order.

    \b
    Example:
      amelia workflows logs wf-3f2a --follow
    """
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    plane.workflow(workflow_id)
    with JsonLines() if output == "json" else Lines() as shown:
        if follow:
            to_the_end(plane, workflow_id, shown, after=after)
        else:
            until_caught_up(plane, workflow_id, shown, after=after)
