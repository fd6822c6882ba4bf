"""``amelia workflows watch``."""

from typing import TYPE_CHECKING, cast, get_args

import click

from amelia.client.fleet_stream import FleetEvent, FleetFrame, Wanted, fleet_frames
from amelia.contract.workflow import Status

from . import options
from .describe import Narrator
from .printing import clean, paint
from .views import JsonLines

if TYPE_CHECKING:
    from amelia.contract.events import AnyEvent


@click.command()
@click.option(
    "--status", "statuses", type=click.Choice(get_args(Status)), multiple=True, help="Of workflows now in it."
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only events of this type.")
@click.option("--repository", "repositories", multiple=True, metavar="URL", help="Of workflows in this repository.")
@click.option("--after", default="", metavar="CURSOR", help="Go on from there; begin for all.  [default: from now on]")
@options.fleet
@options.output
def watch(
    statuses: tuple[str, ...],
    types: tuple[str, ...],
    repositories: tuple[str, ...],
    after: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Print what happens in the whole fleet, until Ctrl-C: every event once, over restarts of the fleet.

    Options that narrow it may be given several times.

    \b
    Example:
      amelia workflows watch --type workflow_blocked --type branch_pushed
    """
    plane = options.reach(url, profile, settings)
    wanted = Wanted(status=statuses, types=types, repositories=repositories)
    place, narrator = after, Narrator()
    try:
        for frame in fleet_frames(plane.url, plane.token, after=after, wanted=wanted, lost=_lost):
            _show(frame, output, narrator)
            place = frame.cursor
    except KeyboardInterrupt:
        if output != "json" and place:
            click.echo(f"\nto go on: amelia workflows watch --after {place}", err=True)
        raise


def _show(frame: FleetFrame, output: str, narrator: Narrator) -> None:
    if not isinstance(frame, FleetEvent):
        return
    if output == "json":
        JsonLines().unknown(frame.sequence, frame.type, frame.raw)
        return
    said = narrator.tell(cast("AnyEvent", frame.event)) if frame.event is not None else clean(frame.type)
    when = frame.event.timestamp[11:19] if frame.event is not None else ""
    click.echo(f"{when or '--:--:--'} {paint(clean(frame.workflow_id)[:11], 'cyan')} {frame.sequence:>4}  {said}")


def _lost(why: str) -> None:
    click.echo(f"the fleet does not answer ({why}); trying again", err=True)
