"""The commands of ``amelia memory``."""

from typing import TYPE_CHECKING

import click

from . import options
from .printing import ago, cells, clean, document

if TYPE_CHECKING:
    from amelia.contract.views import LessonView

_SHORT = 12
"""Characters of an id that a list shows."""


@click.command("list")
@click.option("--repo", default="", metavar="URL|PATH", help="Only about this repository.")
@options.looking
@options.output
def list_lessons(repo: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """List what workflows have learnt about repositories, the newest first.

    \b
    Examples:
      amelia memory list
      amelia memory list --repo https://github.com/acme/shop --output json
    """
    from amelia.contract.views import LessonList

    plane = options.look(url, profile, settings)
    told = (plane.lessons(address) for address in _addresses(repo))
    kept = next((one for one in told if one.items), LessonList(items=()))
    if output == "json":
        document(kept)
        return
    if not kept.items:
        click.echo("nothing has been learnt yet" + (" about it" if repo else ""))
        return
    rows = [
        (x.id[:_SHORT], clean(x.topic), ago(x.learnt_at), clean(x.repository), clean(x.text)[:200]) for x in kept.items
    ]
    for line in cells(("ID", "TOPIC", "AGE", "REPOSITORY", "LESSON"), rows):
        click.echo(line)


@click.command()
@click.argument("lessons", metavar="ID...", nargs=-1, required=True)
@options.looking
@options.output
def forget(lessons: tuple[str, ...], url: str, profile: str, settings: str | None, output: str) -> None:
    """Forget what was wrong or is no more. An ID may be shortened while it stays unique.

    A workflow that runs already was told it when it began.

    \b
    Example:
      amelia memory forget 8a1c
    """
    plane = options.look(url, profile, settings)
    there = plane.lessons("").items
    gone = [plane.forget(_one(there, given).id) for given in lessons]
    if output == "json":
        for one in gone:
            document(one)
        return
    for one in gone:
        click.echo(f"forgotten: {clean(one.text)}")


def _one(there: "tuple[LessonView, ...]", given: str) -> "LessonView":
    from amelia.errors import NotFound, Refused

    found = [one for one in there if one.id.startswith(given)]
    if not found or not given:
        raise NotFound(f"there is no lesson {given!r}; amelia memory list shows those there are")
    if len(found) > 1:
        raise Refused(f"{given!r} may be {', '.join(one.id for one in found[:4])}; give more of it")
    return found[0]


def _addresses(repo: str) -> tuple[str, ...]:
    """A checkout is known by its folder to who works on this machine, and by its origin to who does not."""
    if not repo:
        return ("",)
    from amelia.workspace.address import resolve

    from .repository import origin

    return tuple(filter(None, dict.fromkeys((resolve(repo), origin(repo)))))
