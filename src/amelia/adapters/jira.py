"""A Jira's REST API over HTTP, and what its bad answers mean to us."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..errors import AmeliaError, Refused
from . import rest
from .loopback import is_loopback
from .rest import Answer, Rest, one_line

_HEADERS = {"Accept": "application/json", "User-Agent": "amelia", "X-Atlassian-Token": "no-check"}


class JiraAccess(msgspec.Struct, frozen=True, kw_only=True):
    """With ``email`` the ``token`` is an account's API token, without it a bearer token."""

    base_url: str = ""
    email: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"JiraAccess(base_url={self.base_url!r}, email={self.email!r})"

    @property
    def authorization(self) -> str:
        """Raises ``Refused``."""
        token = self.token.strip()
        if not token:
            return ""
        if not token.isascii() or not token.isprintable() or " " in token:
            raise Refused("the Jira token holds something that is no letter, digit or sign; set it again")
        if not self.email:
            return f"Bearer {token}"
        return "Basic " + base64.b64encode(f"{self.email}:{token}".encode()).decode()


class _Said(msgspec.Struct):
    errorMessages: list[str] = []  # noqa: N815 - Jira's name
    errors: dict[str, str] = {}
    message: str = ""


class JiraClient:
    """``base`` is where people reach it."""

    def __init__(self, client: Rest, base: str, authorization: str) -> None:
        self._rest = client
        self._authorization = authorization
        self.base = base

    @property
    def signed_in(self) -> bool:
        return bool(self._authorization)

    async def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answer:
        """As ``Rest.request``; ``path`` is below ``/rest/api/3``."""
        return await self._rest.request(
            method, f"/rest/api/3{path}", authorization=self._authorization, doing=doing, params=params, data=data
        )


def translate(answer: Answer, doing: str, way_out: str) -> AmeliaError:
    return rest.translate(answer, doing, way_out)


@asynccontextmanager
async def open_jira(access: JiraAccess) -> AsyncIterator[JiraClient]:
    """Share it, it pools. Raises ``Refused`` for settings that do not fit."""
    base = checked(access.base_url)
    async with rest.open_session(base) as session:
        client = Rest(session, base, who="Jira", said=_said, headers=_HEADERS)
        yield JiraClient(client, base, access.authorization)


def checked(base_url: str) -> str:
    """Without a slash at its end. Raises ``Refused``."""
    base = base_url.strip().rstrip("/")
    parts = urlsplit(base)
    plain = parts.hostname and not (parts.query or parts.fragment or parts.username)
    if not plain or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise Refused("JIRA_BASE_URL is no address of a Jira; use one like https://example.atlassian.net")
    return base


def _said(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.DecodeError:
        return ""
    return one_line([said.message, *said.errorMessages, *(f"{field}: {text}" for field, text in said.errors.items())])
