"""``amelia profile``: what settings.amelia.yaml says, and whether it is right."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .lazy import LazyGroup
from .printing import cells, clean, document

if TYPE_CHECKING:
    from amelia.profiles import Document, ProfileSettings

profile = LazyGroup(
    name="profile",
    commands_at={
        "list": ("amelia_cli.profile:list_profiles", "The profiles there are, and which one is taken."),
        "show": ("amelia_cli.profile:show", "One profile with everything it leaves as it is."),
        "check": ("amelia_cli.profile:check", "Look for mistakes in the settings file."),
    },
    help="""Profiles say how workflows are worked: by which models, with which tracker, budget and approval.

    \b
    Examples:
      amelia profile list
      amelia profile show laptop
    """,
)

_settings = click.option("--settings", type=click.Path(), help="The settings file.  [default: searched upwards]")


@click.command("list")
@_settings
@options.output
def list_profiles(settings: str | None, output: str) -> None:
    """List the profiles of the settings file. The one that is taken without --profile has a star.

    \b
    Example:
      amelia profile list
    """
    file = _file(settings)
    read = _read(file)
    active = _active(read)
    if output == "json":
        document({"file": str(file) if file else "", "active": active, "profiles": read.profiles})
        return
    if file is None:
        click.echo("there is no settings.amelia.yaml here or above; the built-in profile is taken", err=True)
    named = dict(read.profiles) or {active: _built_in()}
    rows = [
        (
            "*" if name == active else "",
            clean(name),
            found.driver or "any",
            clean(found.model),
            found.tracker,
            found.strategy,
            found.cloud.control_plane_url,
        )
        for name, found in named.items()
    ]
    for line in cells(("", "NAME", "DRIVER", "MODEL", "TRACKER", "STRATEGY", "FLEET"), rows):
        click.echo(line)


@click.command()
@click.argument("name", default="")
@_settings
@options.output
def show(name: str, settings: str | None, output: str) -> None:
    """Show the profile NAME, else the one that is taken, as YAML. What the file does not say stands there as a comment.

    \b
    Example:
      amelia profile show laptop
    """
    from amelia import profiles

    chosen = profiles.choose(_file(settings), name)
    if output == "json":
        document({"file": str(chosen.file or ""), "name": chosen.name, "settings": chosen.settings})
        return
    click.echo(f"# {chosen.file or 'built in'}\n{clean(chosen.name)}:")
    for line in _yaml(chosen.settings):
        click.echo(line)


@click.command()
@_settings
@options.output
def check(settings: str | None, output: str) -> None:
    """Check every profile of the settings file, and the approval policies and issues it names.

    A mistake ends with 2 and names its line and the nearest key or value that would be right. What is no mistake, but
    has no effect, is noted.

    \b
    Example:
      amelia profile check --settings deploy/settings.amelia.yaml
    """
    from amelia.errors import NotFound
    from amelia.profiles import FILE_NAME, choose

    file = _file(settings)
    if file is None:
        raise NotFound(f"there is no {FILE_NAME} here or above; write one, or name one with --settings")
    read = _read(file)
    choose(file)
    notes = [f"{clean(name)}: {note}" for name in read.profiles for note in _notes(choose(file, name).settings)]
    if output == "json":
        document({"file": str(file), "profiles": sorted(read.profiles), "notes": notes})
        return
    for note in notes:
        click.echo(f"note: {note}", err=True)
    number = len(read.profiles)
    click.echo(f"{file}: {number} profile{'' if number == 1 else 's'}, no mistake")


def _notes(found: "ProfileSettings") -> Iterator[str]:
    """What has no effect. Raises ``Refused`` for what cannot work."""
    from amelia.errors import Refused

    found.approval()
    if found.policy and not (found.auto_approve or found.cloud.auto_approve):
        yield "the policy is asked only with auto_approve; without it, a person decides every plan"
    if found.policy and found.cloud.control_plane_url:
        yield "the policy is that of local mode; the fleet has its own"
    if found.issues and found.tracker not in ("file", "noop"):
        yield f"issues is of the tracker 'file'; {found.tracker!r} does not look there"
    if found.issues and not Path(found.issues).is_dir():
        raise Refused(f"there is no directory {found.issues} of issues; make it, or name another one")
    if found.model and not found.driver:
        yield f"the model {clean(found.model)!r} is asked of whatever service has credentials; name its driver too"


def _yaml(found: "ProfileSettings") -> Iterator[str]:
    import yaml

    default = _built_in()
    for key in found.__struct_fields__:
        value = getattr(found, key)
        said = yaml.safe_dump({key: _plain(value)}, sort_keys=False, width=1_000).splitlines()
        mark = "# " if value == getattr(default, key) else ""
        yield from (f"  {mark}{line}" for line in said)


def _plain(value: object) -> object:
    """With all that a struct holds, also where it is the default; but nothing of what is not there."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        held = {key: _plain(getattr(value, key)) for key in value.__struct_fields__}
        return {key: item for key, item in held.items() if item not in (None, [])}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _active(read: "Document") -> str:
    from amelia.profiles import DEFAULT

    return read.active_profile or DEFAULT


def _built_in() -> "ProfileSettings":
    from amelia.profiles import ProfileSettings

    return ProfileSettings()


def _read(file: Path | None) -> "Document":
    from amelia.profile_file import read
    from amelia.profiles import Document

    return read(file) if file else Document()


def _file(settings: str | None) -> Path | None:
    from amelia import profiles

    return profiles.find(Path.cwd(), os.environ, Path(settings) if settings else None)
