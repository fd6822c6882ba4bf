"""Which issue is meant."""

from pathlib import Path

from amelia.contract.workflow import Issue
from amelia.errors import Refused
from amelia.profiles import ProfileSettings
from amelia.trackers.file import FileTracker, read_issue, read_text, split
from amelia.trackers.noop import NoTracker
from amelia.trackers.tracker import Tracker


def find(given: str, title: str, description: Path | None, settings: ProfileSettings) -> Issue:
    """Told by ``title`` or ``description``, else a Markdown file, else what the profile's tracker knows.

    Raises ``NotFound`` or ``Refused`` with how to give it.
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
    tracker = _tracker(settings)
    if isinstance(tracker, NoTracker) and (path.suffix in (".md", ".markdown") or "/" in given):
        raise Refused(f"there is no file {given}; give the path of one, or an id with --title")
    return tracker.issue(given)


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
