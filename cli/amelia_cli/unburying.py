"""The commands that send dead letters again, or give them up."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from amelia.errors import Refused

from . import options
from .printing import clean, document
from .terminal import can_ask

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.contract.views import DeadLetterView

    Verb = Callable[[str], DeadLetterView]

_IDS = click.argument("letters", metavar="[ID]...", nargs=-1)
_ALL = click.option("--all", "every", is_flag=True, help="All that wait. Asks first.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@_IDS
@_ALL
@_YES
@options.fleet
@options.output
def redrive(
    letters: tuple[str, ...],
    every: bool,
    yes: bool,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Send dead letters to their queues again, as they were: a message keeps its id, so that it cannot count twice.

    \b
    Examples:
      amelia dead-letters redrive 8a1c 77f0
      amelia dead-letters redrive --all --yes
    """
    plane = options.reach(url, profile, settings)
    _each(plane, _meant(plane, letters, every, yes, "redrive"), plane.redrive, output)


@click.command()
@_IDS
@_ALL
@_YES
@options.fleet
@options.output
def discard(
    letters: tuple[str, ...],
    every: bool,
    yes: bool,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Give dead letters up for good. They stay listed, as discarded.

    \b
    Example:
      amelia dead-letters discard 8a1c
    """
    plane = options.reach(url, profile, settings)
    _each(plane, _meant(plane, letters, every, yes, "discard"), plane.discard, output)


def _meant(plane: "ControlPlane", letters: tuple[str, ...], every: bool, yes: bool, verb: str) -> list[str]:
    """Raises ``Refused`` when it is not said which, or nobody is there to be asked; ``Abort`` when the answer is no."""
    if every == bool(letters):
        raise Refused(f"say which dead letters to {verb}: one or more ids, or --all")
    if letters:
        return [plane.resolve_letter(letter) for letter in dict.fromkeys(letters)]
    found = plane.waiting_letters()
    if not found or yes:
        return found
    if not can_ask():
        raise Refused(f"{len(found)} dead letters wait; {verb} them all with --all --yes")
    if not click.confirm(f"{verb.capitalize()} {len(found)} dead letters?"):
        raise click.Abort
    return found


def _each(plane: "ControlPlane", ids: list[str], verb: "Verb", output: str) -> None:
    """One after the other; what is refused of one does not keep the others. The first error is raised in the end."""
    done: list[DeadLetterView] = []
    errors: list[Refused] = []
    for letter_id in ids:
        try:
            done.append(verb(letter_id))
        except Refused as error:
            errors.append(error)
    if output == "json":
        document({"items": done})
    for view in done if output == "text" else ():
        click.echo(f"{view.id} {view.state}: {clean(view.type) or 'a message'} of the queue {view.source}")
    if not ids and output == "text":
        click.echo("no dead letters wait")
    for further in errors[1:]:
        click.echo(f"amelia: {further}", err=True)
    if errors:
        raise errors[0]
