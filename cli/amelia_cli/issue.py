"""Which issue is meant."""

import asyncio
import os
from pathlib import Path

import click
from msgspec.structs import replace

from amelia.contract.workflow import Issue, Profile
from amelia.errors import Refused
from amelia.profiles import ProfileSettings
from amelia.redaction import ours
from amelia.settings import load
from amelia.trackers.file import FileTracker, read_issue, read_text, split
from amelia.trackers.noop import NoTracker
from amelia.trackers.reference import plausible, recognised
from amelia.trackers.tracker import Tracker

from . import repository


def find(
    given: str, title: str, description: Path | None, settings: ProfileSettings, *, repo: str = "", remote: bool = False
) -> Issue:
    """As ``_found``, without the secrets that stood in it: from here on nobody sees them."""
    found = _found(given, title, description, settings, repo=repo, remote=remote)
    clean = ours().value(found)
    if clean is not found:
        click.echo("note: what looks like a secret in the issue is left out, as [redacted:…]", err=True)
    return clean


def _found(
    given: str, title: str, description: Path | None, settings: ProfileSettings, *, repo: str, remote: bool
) -> Issue:
    """Told by ``title`` or ``description``, else a Markdown file, else what a tracker knows: GitHub's and Jira's issues
    by their names and addresses, others by the profile's tracker. ``repo`` is what a number like ``#7`` belongs to.

    ``remote``: without a credential of ours it stays a reference, which the fleet looks up. Raises ``NotFound`` or
    ``Refused`` with how to give it.
    """
    if not given.strip():
        raise Refused("the issue has no name; give the path of a Markdown file, or an id with --title")
    if title or description:
        return _told(given, title, description)
    path = Path(given)
    if path.is_dir():
        raise Refused(f"{given} is a directory; give the path of a Markdown file in it")
    if path.is_file():
        return read_issue(path)
    if (found := _looked_up(given, settings, repo, remote=remote)) is not None:
        return found
    tracker = _tracker(settings)
    if isinstance(tracker, NoTracker) and (path.suffix in (".md", ".markdown") or "/" in given):
        raise Refused(f"there is no file {given}; give the path of one, owner/repository#123, or an id with --title")
    return asyncio.run(tracker.read(given))


def tracked(profile: Profile, found: Issue) -> Profile:
    """A tracker that knew the issue without the profile naming it is the one to tell what becomes of it."""
    if profile.tracker in ("github", "jira") or not (found.url or not found.title):
        return profile
    return replace(profile, tracker="github" if "#" in found.id else "jira")


def _looked_up(given: str, settings: ProfileSettings, repo: str, *, remote: bool) -> Issue | None:
    """None when it is no reference to GitHub or Jira."""
    if not plausible(given):
        return None
    try:
        from amelia.trackers.connection import access, open_trackers
    except ModuleNotFoundError as missing:
        raise Refused(
            f"looking {given} up needs {missing.name}, which is not installed: pip install 'amelia[github]', or give "
            "the path of a Markdown file"
        ) from missing
    access_ = access(load(os.environ), os.environ)
    here = access_.places(repository.origin(repo))
    known = recognised(given, "file" if settings.issues else settings.tracker, here)
    if known is None or (remote and not access_.reads(known.tracker)):
        return None if known is None else Issue(id=known.issue)

    async def read() -> Issue:
        async with open_trackers(access_) as trackers:
            return await trackers.read(known)

    return asyncio.run(read())


def _told(given: str, title: str, description: Path | None) -> Issue:
    text = read_text(description) if description else ""
    heading, body = split(text)
    if not (title or heading):
        raise Refused(f"{description} has no heading; give the issue's title with --title")
    path = Path(given)
    return Issue(
        id=(path.stem if path.is_file() else given)[:200],
        title=" ".join((title or heading).split())[:300],
        body=text.strip() if title else body,
    )


def _tracker(settings: ProfileSettings) -> Tracker:
    if settings.tracker == "file" or settings.issues:
        return FileTracker(Path(settings.issues or "."))
    return NoTracker()
