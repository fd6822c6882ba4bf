"""Who we are to GitHub: a token that was set, or an App with tokens of an hour for one repository each."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime

import msgspec

from ...errors import Refused, Unavailable
from .client import Answer, Client, translate
from .site import Site

SPARE_SECONDS = 300
"""A token is not handed out any more when it has this long to live."""
WRITE = {"contents": "write", "pull_requests": "write"}
READ = {"contents": "read"}
ISSUES_READ = {"issues": "read"}
ISSUES_WRITE = {"issues": "write"}


class NoCredentials:
    writes = False

    async def write(self, repository: str) -> str:
        return ""

    async def read(self, repository: str) -> str:
        return ""

    async def issues(self, repository: str, *, write: bool) -> str:
        return ""

    def forget(self, token: str) -> None:
        pass


class TokenCredentials:
    """Fixed tokens, a personal one or a machine user's. The one that may write is never given out to read with."""

    def __init__(self, site: Site, *, write: str, read: str = "") -> None:
        self._site = site
        self._write = write
        self.writes = bool(write)
        self._read = read

    def __repr__(self) -> str:
        return f"TokenCredentials({self._site.web!r})"

    async def write(self, repository: str) -> str:
        return self._write if self._site.full_name(repository) else ""

    async def read(self, repository: str) -> str:
        return self._read if self._site.full_name(repository) else ""

    async def issues(self, repository: str, *, write: bool) -> str:
        token = self._write if write else self._read or self._write
        return token if self._site.full_name(repository) else ""

    def forget(self, token: str) -> None:
        """There is no other."""


class _Issued(msgspec.Struct):
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"_Issued(expires_at={self.expires_at})"


class _Installation(msgspec.Struct):
    id: int


class AppCredentials:
    """Installation tokens of a GitHub App, each for one repository and no more than it is needed for.

    ``private_key`` is a PEM. Raises ``Refused`` when it is none.
    """

    writes = True

    def __init__(self, client: Client, *, app_id: str, private_key: str) -> None:
        self._client = client
        self._app_id = app_id
        self._key = private_key
        self._issued: dict[tuple[str, str], _Issued] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._assertion()

    def __repr__(self) -> str:
        return f"AppCredentials(app_id={self._app_id!r})"

    async def write(self, repository: str) -> str:
        return await self._token(repository, "write", WRITE)

    async def read(self, repository: str) -> str:
        return await self._token(repository, "read", READ)

    async def issues(self, repository: str, *, write: bool) -> str:
        if write:
            return await self._token(repository, "issues", ISSUES_WRITE)
        return await self._token(repository, "issues, to read", ISSUES_READ)

    def forget(self, token: str) -> None:
        """GitHub did not take it: the next one is fresh."""
        self._issued = {key: issued for key, issued in self._issued.items() if issued.token != token}

    async def _token(self, repository: str, kind: str, permissions: Mapping[str, str]) -> str:
        name = self._client.site.full_name(repository)
        if not name:
            return ""
        key = (name.lower(), kind)
        async with self._locks.setdefault(key, asyncio.Lock()):
            self._drop_old()
            if key not in self._issued:
                self._issued[key] = await self._issue(name, permissions)
            return self._issued[key].token

    def _drop_old(self) -> None:
        latest = time.time() + SPARE_SECONDS
        self._issued = {k: issued for k, issued in self._issued.items() if issued.expires_at.timestamp() > latest}
        self._locks = {k: lock for k, lock in self._locks.items() if lock.locked() or k in self._issued}

    async def _issue(self, name: str, permissions: Mapping[str, str]) -> _Issued:
        doing = f"getting a token for {name}"
        way_out = f"install the GitHub App on {name} with {_listed(permissions)}"
        found = await self._ask("GET", f"/repos/{name}/installation", doing)
        if found.status != 200:
            raise translate(found, doing, way_out)
        installation = found.read(_Installation, doing)
        answer = await self._ask(
            *("POST", f"/app/installations/{installation.id}/access_tokens", doing),
            {"repositories": [name.partition("/")[2]], "permissions": permissions},
        )
        if answer.status != 201:
            raise translate(answer, doing, way_out)
        issued = answer.read(_Issued, doing)
        if issued.expires_at.timestamp() < time.time() + SPARE_SECONDS:
            raise Unavailable(f"{doing}: it has expired already; set this machine's clock")
        return issued

    async def _ask(self, method: str, path: str, doing: str, data: Mapping[str, object] | None = None) -> Answer:
        return await self._client.request(method, path, token=self._assertion(), doing=doing, data=data)

    def _assertion(self) -> str:
        """Signed by the App, valid for nine minutes of GitHub's ten and begun a minute ago, for clocks that differ."""
        try:
            import jwt
        except ImportError:
            raise Refused("a GitHub App needs the package pyjwt[crypto]; install it, or set a token instead") from None
        now = int(time.time())
        try:
            return jwt.encode({"iss": self._app_id, "iat": now - 60, "exp": now + 540}, self._key, algorithm="RS256")
        except (ValueError, TypeError, NotImplementedError, jwt.PyJWTError):
            raise Refused(
                "the GitHub App's private key cannot be used; give the whole PEM file, and install pyjwt[crypto]"
            ) from None


def _listed(permissions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {level}" for name, level in permissions.items())
