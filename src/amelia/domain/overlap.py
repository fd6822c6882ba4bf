"""Whether two plans change the same files."""

from collections.abc import Iterable
from functools import lru_cache

Paths = tuple[str, ...]

EVERYTHING: Paths = ("**",)
"""Of a plan that does not say what it changes."""


def shared(a: Paths, b: Paths) -> str:
    """A path of ``a`` that ``b`` may change too: the same, a folder around it or below it, a glob that may match.

    Empty when there is none. What cannot be told apart counts as shared.
    """
    theirs = tuple(map(_plain, b))
    return next((path for path in a if _touches(_plain(path), theirs)), "")


def _touches(path: str, others: Iterable[str]) -> bool:
    return any(_within(path, other) or _within(other, path) for other in others)


def _within(path: str, folder: str) -> bool:
    return folder == "" or path == folder or path.startswith(f"{folder}/")


@lru_cache(maxsize=4096)
def _plain(path: str) -> str:
    """The folder before the first wildcard: a glob may match all that lies there."""
    parts: list[str] = []
    for part in path.strip("/").split("/"):
        if any(sign in part for sign in "*?["):
            break
        if part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
