"""GitHub's REST API over HTTP, and what its bad answers mean to us."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
from msgspec.structs import replace

from ... import errors
from .. import rest
from ..rest import Answer, Rest, one_line
from .site import Site

__all__ = ["Answer", "Client", "open_client", "translate"]

_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "amelia",
}


class _Error(msgspec.Struct):
    message: str | None = None
    field: str | None = None
    code: str | None = None

    @property
    def line(self) -> str:
        return self.message or f"{self.field or ''} {self.code or ''}".strip()


class _Said(msgspec.Struct):
    message: str = ""
    errors: list[_Error | str] = []


class Client:
    """Follows redirects (of renamed repositories) within the API's own origin only, so that no token leaves it."""

    def __init__(self, session: aiohttp.ClientSession, site: Site) -> None:
        self._rest = Rest(session, site.api, who="GitHub", said=_said, headers=_HEADERS)
        self.site = site

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str,
        doing: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answer:
        """As ``Rest.request``; an empty ``token`` asks as anybody may."""
        authorization = f"Bearer {token}" if token else ""
        return await self._rest.request(
            method, path, authorization=authorization, doing=doing, params=params, data=data
        )


def translate(answer: Answer, doing: str, way_out: str) -> errors.AmeliaError:
    """``way_out`` is what helps when it is the permission that lacks, as in ``give the token …``."""
    if answer.status == 403 and (needed := answer.headers.get("x-accepted-github-permissions", "")):
        way_out += f" (it asks for {needed})"
    limited = _is_limited(answer)
    if limited and not answer.wait_seconds and (wait := _until_reset(answer)):
        answer = replace(answer, headers={**answer.headers, "retry-after": str(wait)})
    return rest.translate(answer, doing, way_out, limited=limited)


def _is_limited(answer: Answer) -> bool:
    """A rate limit, of which the secondary ones are told by words alone."""
    if answer.status not in (403, 429):
        return False
    told = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return told or answer.status == 429 or "rate limit" in answer.message.lower()


def _until_reset(answer: Answer) -> int:
    """Seconds, by GitHub's own clock; 0 when it does not say."""
    reset, date = answer.headers.get("x-ratelimit-reset", ""), answer.headers.get("date", "")
    if not (reset.isascii() and reset.isdecimal()) or answer.headers.get("x-ratelimit-remaining") != "0":
        return 0
    try:
        now = parsedate_to_datetime(date)
    except ValueError:
        now = datetime.now(UTC)
    return min(3_600, max(1, int(reset) - int(now.timestamp())))


def _said(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.DecodeError:
        return ""
    return one_line([said.message, *(e if isinstance(e, str) else e.line for e in said.errors)])


@asynccontextmanager
async def open_client(site: Site) -> AsyncIterator[Client]:
    """Share it, it pools. The environment's proxy is asked, unless the API is on this machine."""
    async with rest.open_session(site.api) as session:
        yield Client(session, site)
