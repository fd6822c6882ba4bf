"""``amelia workflows logs``."""

from typing import TYPE_CHECKING, cast

import click

from amelia.client.http import ControlPlane
from amelia.errors import Refused

from . import options
from .views import JsonLines, Lines
from .watch import to_the_end, until_caught_up

if TYPE_CHECKING:
    from amelia.contract.events import AnyEvent

    from .local_plane import LocalPlane


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Stay until the workflow ends, over restarts of the fleet.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="N", help="Begin after the event of this sequence.")
@options.looking
@options.output
def logs(workflow: str, follow: bool, after: int, url: str, profile: str, settings: str | None, output: str) -> None:
    """Print what happened: every event once, in order.

    \b
    Example:
      amelia workflows logs wf-3f2a --follow
    """
    plane = options.look(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    if not isinstance(plane, ControlPlane):
        _told(plane, workflow_id, after, output, follow=follow)
        return
    plane.workflow(workflow_id)
    with JsonLines() if output == "json" else Lines() as shown:
        if follow:
            to_the_end(plane, workflow_id, shown, after=after)
        else:
            until_caught_up(plane, workflow_id, shown, after=after)


def _told(plane: "LocalPlane", workflow_id: str, after: int, output: str, *, follow: bool) -> None:
    if follow:
        raise Refused(f"{workflow_id} is followed where amelia start works on it; without --follow its past is printed")
    with JsonLines() if output == "json" else Lines() as shown:
        for sequence, event in enumerate(plane.events(workflow_id), 1):
            if sequence > after:
                shown.show(sequence, cast("AnyEvent", event))
