"""Issues as Markdown files: the first heading is the title, what follows it the body."""

import re
from difflib import get_close_matches
from pathlib import Path

from ..contract.workflow import Issue
from ..errors import NotFound, Refused
from .tracker import Comment

_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+(?P<title>.*?)[ \t]*#*[ \t]*$")
_SETEXT = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_TITLE = 300
_BODY = 200_000
_ID = 200


class FileTracker:
    """``ISSUE`` is ``directory/ISSUE.md``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, reference: str) -> Issue:
        return self.issue(reference)

    async def tell(self, reference: str, comment: Comment) -> str:
        """Files are not written to."""
        return ""

    def issue(self, issue_id: str) -> Issue:
        path = self._directory / f"{issue_id.removesuffix('.md')}.md"
        if not path.is_file():
            names = [file.stem for file in self._directory.glob("*.md")]
            near = get_close_matches(issue_id, names, n=1, cutoff=0.4)
            meant = f"; did you mean {near[0]!r}?" if near else "; put it there, or give the path of another file"
            raise NotFound(f"there is no issue {issue_id!r} in {self._directory}{meant}")
        return read_issue(path)


def read_issue(path: Path, issue_id: str = "") -> Issue:
    """Raises ``Refused`` when the file cannot be read, is not text, has no heading or is too large."""
    title, body = split(read_text(path))
    if not title:
        raise Refused(f"{path} has no heading; begin it with '# ' and the issue's title")
    return Issue(id=(issue_id or path.stem)[:_ID], title=title[:_TITLE], body=body)


def read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text; give a Markdown file") from error
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; give a Markdown file that can") from error
    if len(text) > _BODY:
        raise Refused(f"{path} holds {len(text)} characters, an issue at most {_BODY}; shorten it")
    return text


def split(text: str) -> tuple[str, str]:
    """Title and body; what stood before the heading (front matter, a badge) stays in the body. Title empty if none."""
    lines = text.splitlines()
    start = _after_front_matter(lines)
    fenced = False
    for number in range(start, len(lines)):
        line = lines[number]
        if _FENCE.match(line):
            fenced = not fenced
        if fenced:
            continue
        if (found := _ATX.match(line)) and found["title"]:
            return found["title"], _body(lines, number, number + 1)
        if line.strip() and number + 1 < len(lines) and _SETEXT.match(lines[number + 1]):
            return line.strip(), _body(lines, number, number + 2)
    return "", text.strip()


def _after_front_matter(lines: list[str]) -> int:
    if not lines or lines[0].rstrip() != "---":
        return 0
    return next((n + 1 for n, line in enumerate(lines) if n and line.rstrip() == "---"), 0)


def _body(lines: list[str], upto: int, after: int) -> str:
    return "\n".join([*lines[:upto], *lines[after:]]).strip()
