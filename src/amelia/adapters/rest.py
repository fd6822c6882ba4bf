"""REST over HTTP: one request, one answer of bounded size, and what a bad answer means to us."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ..errors import AmeliaError, Limited, NotFound, Refused, Unauthorised, Unavailable
from .loopback import is_loopback

T = TypeVar("T")
SECONDS = 30.0
MOST_BYTES = 16 * 1024 * 1024
_REDIRECTS = frozenset({301, 302, 307, 308})
_LONGEST_WAIT_SECONDS = 86_400


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``who`` answered; ``message`` is what they say is wrong, in one line, and ``next`` the next page's address."""

    who: str
    status: int
    body: bytes
    headers: Mapping[str, str]
    message: str = ""
    next: str = ""

    def read(self, kind: type[T], doing: str) -> T:
        """Raises ``Unavailable``: what answers like that is a proxy, or a service that is not well."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{doing}: {self.who}'s answer cannot be read ({error}); try again later") from error

    @property
    def wait_seconds(self) -> int:
        """What ``Retry-After`` asks for; 0 when it does not."""
        said = self.headers.get("retry-after", "")
        return min(int(said), _LONGEST_WAIT_SECONDS) if said.isascii() and said.isdecimal() else 0


class Rest:
    """``base`` is where the API begins, ``said`` finds what is wrong in the body of an answer. Follows redirects (of
    what was renamed or moved) within the API's own origin only, so that no credential leaves it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        *,
        who: str,
        said: Callable[[bytes], str],
        headers: Mapping[str, str],
    ) -> None:
        self._session = session
        self._base = base
        self._who = who
        self._said = said
        self._headers = dict(headers)

    async def request(
        self,
        method: str,
        path: str,
        *,
        authorization: str = "",
        doing: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Whatever the status; ``path`` may be a whole address of this API. Raises ``Unavailable`` when no answer
        came, and then nobody knows whether the request had its effect."""
        url = path if path.startswith(f"{self._base}/") else self._base + path
        headers = self._headers | ({"Authorization": authorization} if authorization else {})
        for _ in range(4):
            try:
                async with self._session.request(
                    method, url, headers=headers, params=params, json=data, allow_redirects=False
                ) as response:
                    if response.status not in _REDIRECTS:
                        return await self._answer(response)
                    url, params = self._onward(url, response.headers.get("Location", ""), doing), None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
                raise Unavailable(f"{doing}: {self._who} gave no answer ({reason}); try again later") from error
        raise Refused(f"{doing}: {self._who} redirects in a circle; use the present address")

    def _onward(self, url: str, location: str, doing: str) -> str:
        there, here = urlsplit(location), urlsplit(self._base)
        if not there.netloc and location.startswith("/"):
            return f"{here.scheme}://{here.netloc}{location}"
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise Refused(f"{doing}: {self._who} redirects to another host; use the present address")
        return location

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        body = b""
        async for part in response.content.iter_any():
            body += part
            if len(body) > MOST_BYTES:
                raise aiohttp.ClientPayloadError(f"more than {MOST_BYTES} bytes")
        return Answer(
            who=self._who,
            status=response.status,
            body=body,
            headers={k.lower(): v for k, v in response.headers.items()},
            message=self._said(body),
            next=str(response.links["next"]["url"]) if "next" in response.links else "",
        )


def one_line(parts: list[str]) -> str:
    """What a service says, short enough to be part of a sentence."""
    return " ".join("; ".join(part for part in parts if part).split())[:300].rstrip(".")


def translate(answer: Answer, doing: str, way_out: str, *, limited: bool = False) -> AmeliaError:
    """``way_out`` is what helps when it is the permission that lacks, as in ``give the token …``; ``limited`` when the
    service means by its answer that there were too many requests."""
    said = f"{doing}: {answer.who} answered {answer.status} {answer.message}".rstrip()
    if answer.status >= 500 or answer.status in (408, 425, 429) or limited:
        if wait := answer.wait_seconds:
            return Limited(f"{said}; try again in {wait} seconds", seconds=wait)
        return Unavailable(f"{said}; try again later")
    if answer.status == 401:
        return Unauthorised(f"{said}; the credential is wrong, expired or revoked: set a new one")
    if answer.status in (404, 410):
        return NotFound(f"{said}; check the address, or {way_out}")
    if answer.status == 403:
        return Refused(f"{said}; {way_out}")
    return Refused(f"{said}; check what was asked for, and {way_out}")


@asynccontextmanager
async def open_session(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Share it, it pools. The environment's proxy is asked, unless ``base`` is on this machine."""
    timeout = aiohttp.ClientTimeout(total=SECONDS, connect=10)
    proxied = not is_loopback(urlsplit(base).hostname or "")
    async with aiohttp.ClientSession(timeout=timeout, trust_env=proxied) as session:
        yield session
