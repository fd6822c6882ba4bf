"""``amelia rerun``."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from amelia.errors import NotFound

from . import options
from .edge import FAILED
from .printing import clean_block, document, paint

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane

    from .divergence import Divergence
    from .local_plane import LocalPlane
    from .repeating import Comparison

_LONGEST = 4_000
_ID = re.compile(r"(wf-)?[0-9a-f-]+")


@click.command()
@click.argument("what", metavar="FILE|ID")
@click.option("--repo", default="", metavar="URL|PATH", help="Where its repository is now.  [default: where it was]")
@click.option("--base", default="", metavar="COMMIT", help="Where to begin.  [default: where it began]")
@click.option("--strict", is_flag=True, help="What agents are told first counts too; a new version may say it anew.")
@options.looking
@options.output
def rerun(
    what: str, repo: str, base: str, strict: bool, url: str, profile: str, settings: str | None, output: str
) -> None:
    """Play a workflow again with this version, and name the first thing that comes otherwise.

    FILE is what amelia workflows export has written; an ID is exported first. The model and the people's decisions are
    played; agents, tools, commands and git are real, on a copy of the repository. Compared are the answers of tools,
    the plan, what became of each task, and the work. Exits with 1 when something diverges.

    \b
    Examples:
      amelia rerun wrong-total.yaml
      amelia rerun wf-3f2a --local
      amelia rerun wrong-total.yaml --repo ~/src/shop --output json
    """
    from .local import needed

    with needed(), tempfile.TemporaryDirectory(prefix="amelia-rerun-") as folder:
        from .repeating import compare, exported

        path = Path(what)
        if not path.is_file():
            if not _ID.fullmatch(what):
                raise _neither(what)
            plane = options.look(url, profile, settings)
            path = exported(plane, _resolved(plane, what), Path(folder))
        found = compare(path, Path(folder), repository=repo, base=base, strict=strict)
    if output == "json":
        document(found)
    else:
        _say(found)
    if found.divergences:
        raise click.exceptions.Exit(FAILED)


def _resolved(plane: "ControlPlane | LocalPlane", what: str) -> str:
    try:
        return plane.resolve(what)
    except NotFound as error:
        raise _neither(what) from error


def _neither(what: str) -> NotFound:
    return NotFound(
        f"there is neither a file nor a workflow {what!r}; give what amelia workflows export has written, or an id"
    )


def _say(found: "Comparison") -> None:
    held = f"{found.conversations} conversations, {found.turns} turns"
    if found.prompts:
        which = ", ".join(one.where for one in found.prompts[:3]) + (", …" if len(found.prompts) > 3 else "")
        click.echo(f"told otherwise to begin with: {which} (--strict counts it)", err=True)
    if not found.divergences:
        click.echo(f"{found.workflow_id} goes the same way: {held}, {found.result}")
        return
    first, *others = found.divergences
    click.echo(f"{found.workflow_id} goes another way at {first.where}: {first.what}")
    _show("before", first.before, "red")
    _show("now", first.now, "green")
    if others:
        click.echo(f"and in {len(others)} more places, some of which follow from it: {_places(others)}")


def _places(others: "list[Divergence]") -> str:
    names = [f"{one.where} ({one.what})" for one in others]
    return "; ".join(names[:5]) + ("; …" if len(names) > 5 else "")


def _show(when: str, text: str, colour: str) -> None:
    click.echo(f"{when}:")
    for line in clean_block(text[:_LONGEST]).splitlines() or ["(nothing)"]:
        click.echo("  " + paint(line, colour))
