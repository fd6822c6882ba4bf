"""GitHub's REST API over HTTP: one request, one answer, and what a bad answer means to us."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ...errors import AmeliaError, NotFound, Refused, Unauthorised, Unavailable
from .site import Site, is_loopback

T = TypeVar("T")
SECONDS = 30.0
MOST_BYTES = 16 * 1024 * 1024
_REDIRECTS = frozenset({301, 302, 307, 308})
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "amelia",
}


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: Mapping[str, str]
    next: str = ""

    def read(self, kind: type[T], doing: str) -> T:
        """Raises ``Unavailable``: what answers like that is a proxy, or a GitHub that is not well."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{doing}: GitHub's answer cannot be read ({error}); try again later") from error

    @property
    def message(self) -> str:
        """What GitHub says is wrong, in one line; "" when it does not."""
        said = _said(self.body)
        parts = [said.message, *(e if isinstance(e, str) else e.line for e in said.errors)]
        return " ".join("; ".join(part for part in parts if part).split())[:300].rstrip(".")


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
        self._session = session
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
        """Whatever the status; ``path`` may be a whole address of this API. Raises ``Unavailable`` when no answer
        came, and then nobody knows whether the request had its effect."""
        url = path if path.startswith(f"{self.site.api}/") else self.site.api + path
        headers = _HEADERS | {"Authorization": f"Bearer {token}"}
        for _ in range(4):
            try:
                async with self._session.request(
                    method, url, headers=headers, params=params, json=data, allow_redirects=False
                ) as response:
                    if response.status not in _REDIRECTS:
                        return await _answer(response)
                    url, params = self._onward(url, response.headers.get("Location", ""), doing), None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise Unavailable(f"{doing}: GitHub gave no answer ({reason}); try again later") from error
        raise Refused(f"{doing}: GitHub redirects in a circle; name the repository's present address")

    def _onward(self, url: str, location: str, doing: str) -> str:
        there, here = urlsplit(location), urlsplit(self.site.api)
        if not there.netloc and location.startswith("/"):
            return f"{here.scheme}://{here.netloc}{location}"
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise Refused(f"{doing}: GitHub redirects to another host; name the repository's present address")
        return location


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > MOST_BYTES:
            raise aiohttp.ClientPayloadError(f"more than {MOST_BYTES} bytes")
    onward = str(response.links["next"]["url"]) if "next" in response.links else ""
    return Answer(response.status, body, {k.lower(): v for k, v in response.headers.items()}, onward)


def translate(answer: Answer, doing: str, way_out: str) -> AmeliaError:
    """``way_out`` is what helps when it is the permission that lacks, as in ``give the token …``."""
    said = f"{doing}: GitHub answered {answer.status} {answer.message}".rstrip()
    if answer.status >= 500 or answer.status in (408, 429) or _is_limited(answer):
        wait = answer.headers.get("retry-after", "")
        return Unavailable(f"{said}; try again {f'in {wait} seconds' if wait.isdecimal() else 'later'}")
    if answer.status == 401:
        return Unauthorised(f"{said}; the credential is wrong, expired or revoked: set a new one")
    if answer.status == 404:
        return NotFound(f"{said}; check the address, or {way_out}")
    if answer.status == 403:
        needed = answer.headers.get("x-accepted-github-permissions", "")
        return Refused(f"{said}; {way_out}" + (f" (it asks for {needed})" if needed else ""))
    return Refused(f"{said}; check what was asked for, and {way_out}")


def _is_limited(answer: Answer) -> bool:
    """A rate limit, of which the secondary ones are told by words alone."""
    if answer.status != 403:
        return False
    told = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return told or "rate limit" in answer.message.lower()


def _said(body: bytes) -> _Said:
    try:
        return msgspec.json.decode(body, type=_Said)
    except msgspec.DecodeError:
        return _Said()


@asynccontextmanager
async def open_client(site: Site) -> AsyncIterator[Client]:
    """Share it, it pools. The environment's proxy is asked, unless the API is on this machine."""
    timeout = aiohttp.ClientTimeout(total=SECONDS, connect=10)
    proxied = not is_loopback(urlsplit(site.api).hostname or "")
    async with aiohttp.ClientSession(timeout=timeout, trust_env=proxied) as session:
        yield Client(session, site)
