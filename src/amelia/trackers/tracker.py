"""Where issues come from, and where is said what becomes of them."""

from typing import Protocol

import msgspec

from ..contract.workflow import Issue


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is Markdown. ``key`` is in it and distinguishes it from every other; nothing of that key is older than
    ``since`` (UTC, ISO 8601)."""

    text: str
    key: str
    since: str = ""


class Tracker(Protocol):
    async def read(self, reference: str) -> Issue:
        """With its comments at the end of the body.

        Raises ``NotFound`` when the tracker has no such issue, saying how to give it another way, ``Unauthorised``,
        ``Refused``, and ``Unavailable`` (``Limited`` when it says until when).
        """
        ...

    async def tell(self, reference: str, comment: Comment) -> str:
        """Comments on the issue, unless a comment of that key is there; again is safe. The comment's address, "" where
        nothing can be said. Raises as ``read`` does; after ``Unavailable`` nobody knows, and the next call finds out.
        """
        ...
