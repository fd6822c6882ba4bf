"""Options that commands share, and what they mean."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.profiles import Chosen

URL_HELP = "The fleet's address.  [default: $AMELIA_URL, the profile's, this machine's]"
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
