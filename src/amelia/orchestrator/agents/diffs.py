"""A long diff, so that something of every file is seen."""

import re

from ...tools.toolbox import shorten

_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_NAME = re.compile(r"^diff --git .*? b/(.*)$", re.MULTILINE)
LEAST = 400
"""Characters of a file's part that are left, however many files there are."""


def in_shares(diff: str, most: int) -> str:
    """In about ``most`` characters. The largest files' parts lose their middles first, all files are named."""
    if len(diff) <= most:
        return diff
    starts = [match.start() for match in _FILE.finditer(diff)] or [0]
    parts = [diff[start:end] for start, end in zip(starts, [*starts[1:], len(diff)], strict=True)]
    room, left, share = most, len(parts), most
    for length in sorted(map(len, parts)):
        share = max(LEAST, room // left)
        if length > share:
            break
        room, left = room - length, left - 1
    cut = [name for part in parts if len(part) > share and (name := _name(part))]
    said = f"(too long to be shown whole; read what is left out of {', '.join(cut)} in the files themselves)"
    return "\n".join([shorten(said, most // 4), *(shorten(part.rstrip("\n"), share) for part in parts)])


def _name(part: str) -> str:
    found = _NAME.match(part)
    return found[1] if found else ""
