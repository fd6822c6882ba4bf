"""How people name an issue of a tracker: ``acme/shop#7``, ``#7``, ``PROJ-7``, or its address. Pure."""

import re
from urllib.parse import parse_qs, urlsplit

import msgspec

from ..contract.workflow import TrackerName
from ..errors import Refused

_GITHUB = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]{1,100})#([1-9][0-9]{0,17})$")
_NUMBER = re.compile(r"^#?([1-9][0-9]{0,17})$")
_GITHUB_PATH = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]{1,100})/(?:issues|pull)/([1-9][0-9]{0,17})$")
_KEY = re.compile(r"^[A-Z][A-Z0-9_]{1,99}-[1-9][0-9]{0,17}$")
_JIRA_PATH = re.compile(r"/(?:browse|issues)/([A-Za-z][A-Za-z0-9_]{1,99}-[1-9][0-9]{0,17})$")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """``issue`` is what the tracker calls it: ``owner/name#7``, ``PROJ-7``."""

    tracker: TrackerName
    issue: str


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """``github`` is where the addresses of its repositories begin, ``jira`` where that server does; ``here`` is the
    repository that a bare number belongs to, as ``owner/name``."""

    github: str = "https://github.com/"
    jira: str = ""
    here: str = ""


def plausible(text: str) -> bool:
    """Whether it looks like a tracker's issue rather than like a file."""
    text = text.strip()
    at_github = re.match(r"^(?:www\.)?github\.com/", text, re.IGNORECASE)
    forms = (_GITHUB, _NUMBER, re.compile(_KEY.pattern, re.IGNORECASE))
    return "://" in text or at_github is not None or any(form.match(text) for form in forms)


def recognised(text: str, tracker: TrackerName, places: Places) -> Known | None:
    """None when it may be something else, a file for one. Raises ``Refused`` for an address that is no issue's."""
    text = text.strip()
    if "://" in text or re.match(r"^(?:www\.)?github\.com/", text, re.IGNORECASE):
        return _address(text if "://" in text else f"https://{text}", places)
    if found := _GITHUB.match(text):
        return Known(tracker="github", issue=f"{found[1]}#{found[2]}")
    if (found := _NUMBER.match(text)) and (text.startswith("#") or tracker == "github"):
        return _of_here(found[1], text, places) if tracker in ("github", "noop") else None
    if tracker == "jira" and _KEY.match(text.upper()):
        return Known(tracker="jira", issue=text.upper())
    if tracker == "noop" and places.jira and _KEY.match(text):
        return Known(tracker="jira", issue=text)
    return None


def _of_here(number: str, text: str, places: Places) -> Known:
    if not places.here:
        raise Refused(
            f"{text} names no repository, and the one here is none of GitHub's; write owner/repository#{number}"
        )
    return Known(tracker="github", issue=f"{places.here}#{number}")


def _address(text: str, places: Places) -> Known:
    """Comments, queries and ends of an address are left aside."""
    url, github, jira = urlsplit(text), urlsplit(places.github), urlsplit(places.jira)
    host = url.netloc.rpartition("@")[2].lower().removeprefix("www.")
    if host == github.netloc.lower():
        path = url.path.removeprefix(github.path.rstrip("/")).strip("/")
        if found := _GITHUB_PATH.match(path):
            return Known(tracker="github", issue=f"{found[1]}#{found[2]}")
        raise Refused(f"{_shown(text)} is no issue; give an address like {places.github}owner/repository/issues/7")
    if host and (host == jira.netloc.lower() or (not jira.netloc and host.endswith(".atlassian.net"))):
        selected = parse_qs(url.query).get("selectedIssue", [""])[0].upper()
        found = _JIRA_PATH.search(url.path.rstrip("/"))
        key = selected if _KEY.match(selected) else found[1].upper() if found else ""
        if key:
            return Known(tracker="jira", issue=key)
        raise Refused(f"{_shown(text)} is no issue; give an address like https://{host}/browse/PROJ-7")
    raise Refused(
        f"{_shown(text)} is of no tracker known here; set AMELIA_GITHUB_API_URL or JIRA_BASE_URL to its server, or "
        "give the path of a Markdown file"
    )


def _shown(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)[:200]
