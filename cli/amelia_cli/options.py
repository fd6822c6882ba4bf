"""Options that commands share, and what they mean."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.profiles import Chosen

    from .local_plane import LocalPlane

URL_HELP = "The fleet's address.  [default: $AMELIA_URL, the profile's, this machine's]"
_LONGEST = 20_000
_LOCAL = "amelia.local"
_F = TypeVar("_F", bound=Callable[..., Any])


def output(command: _F) -> _F:
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs: one document, of streams one object a line.",
    )(command)


def fleet(command: _F) -> _F:
    """``url``, ``profile`` and ``settings``, from which ``reach`` finds the fleet. ``--remote`` goes without saying."""
    for option in (
        click.option("--remote", is_flag=True, hidden=True, expose_value=False),
        click.option("--settings", type=click.Path(), help="The settings file to read."),
        click.option("--profile", default="", help="The profile whose fleet to ask."),
        click.option(
            "--url", default="", help="The fleet's address.  [default: $AMELIA_URL, the profile's, this machine's]"
        ),
    ):
        command = option(command)
    return command


def looking(command: _F) -> _F:
    """As ``fleet``; and ``--local``, which ``look`` finds by itself."""
    local = click.option(
        "--local",
        is_flag=True,
        expose_value=False,
        callback=lambda context, _, given: context.meta.update({_LOCAL: given}),
        help="Not of a fleet: of what amelia start has worked here.",
    )
    return local(fleet(command))


def order(command: _F) -> _F:
    """What every command has that changes a workflow: the fleet's options, ``key`` and ``output``."""
    key = click.option(
        "--idempotency-key", "key", default="", metavar="KEY", help="The same key again is the same order, given once."
    )
    return key(fleet(output(command)))


def budget(command: _F) -> _F:
    """``dollars``, in millionths, and ``tokens``; None where they are not given."""
    for option in (
        click.option(
            "--budget-tokens",
            "tokens",
            type=click.IntRange(0, 1_000_000_000_000),
            metavar="N",
            help="What it may use, in tokens; 0 is no bound.",
        ),
        click.option(
            "--budget",
            "dollars",
            metavar="DOLLARS",
            callback=_microdollars,
            help="What it may spend, in dollars; 0 is no bound.",
        ),
    ):
        command = option(command)
    return command


def _microdollars(context: click.Context, parameter: click.Parameter, given: str | None) -> int | None:
    if given is None:
        return None
    whole, _, part = given.strip().removeprefix("$").partition(".")
    fits = (whole + part).isascii() and (whole + part).isdecimal() and len(whole) <= 6
    if not fits:
        raise click.BadParameter(
            f"{given!r} is no amount of dollars up to 999999; give one like 7.50", context, parameter
        )
    return int(whole or "0") * 1_000_000 + int((part + "000000")[:6])


def text(given: str, file: str | None, how: str) -> str:
    """What was said on the command line or in a file, ``-`` being standard input. Raises ``Refused`` when empty."""
    from amelia.errors import Refused

    if given and file:
        raise Refused(f"both a text and a file were given; give {how}")
    if file:
        import sys
        from pathlib import Path

        from amelia.trackers.file import read_text

        given = sys.stdin.read() if file == "-" else read_text(Path(file))
    if not given.strip():
        raise Refused(f"there is nothing to say; give {how}")
    if len(given) > _LONGEST:
        raise Refused(f"the text has {len(given)} characters; at most {_LONGEST} travel, so shorten it")
    return given


def chosen_profile(profile: str, settings: str | None) -> "Chosen":
    from pathlib import Path

    from amelia import profiles

    return profiles.choose(profiles.find(Path.cwd(), os.environ, Path(settings) if settings else None), profile)


def reach(url: str, profile: str = "", settings: str | None = None) -> "ControlPlane":
    """The control plane those options name."""
    from amelia.client.discover import discover
    from amelia.client.http import ControlPlane

    profile_url = ""
    if profile or settings or not (url or os.environ.get("AMELIA_URL")):
        profile_url = chosen_profile(profile, settings).settings.cloud.control_plane_url
    found = discover(url=url, profile_url=profile_url)
    return ControlPlane(found.url, found.token)


def is_local() -> bool:
    """Whether the command was given ``--local``."""
    return bool(click.get_current_context().meta.get(_LOCAL))


def look(url: str, profile: str = "", settings: str | None = None) -> "ControlPlane | LocalPlane":
    """As ``reach``, for a command that has ``looking`` and only looks."""
    if not is_local():
        return reach(url, profile, settings)
    from amelia.client.discover import state_directory

    from .local_plane import LocalPlane

    if url:
        raise click.UsageError("--local and --url are two places; give one of them", click.get_current_context())
    return LocalPlane(state_directory() / "local")
