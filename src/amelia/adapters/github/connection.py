"""A GitHub as the settings name it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from ...errors import Refused
from .client import Client, open_client
from .credentials import AppCredentials, NoCredentials, TokenCredentials
from .forge import GitHub
from .pulls import ForgetfulCredentials
from .site import PUBLIC, site


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are: a ``token`` that writes (and another that only reads, for clones), or an App's id and its PEM."""

    token: str = ""
    read_token: str = ""
    app_id: str = ""
    private_key: str = ""

    def __repr__(self) -> str:
        return f"Access(app_id={self.app_id!r})"


class Connection(msgspec.Struct, frozen=True):
    """Without any access the forge serves nothing, and the credentials are empty."""

    forge: GitHub
    credentials: ForgetfulCredentials


@asynccontextmanager
async def open_github(access: Access, *, api: str = PUBLIC, web: str = "") -> AsyncIterator[Connection]:
    """``api`` is the REST API's address; ``web`` is where the addresses of repositories begin (``https://github.com``,
    ``file:///folder``), derived from ``api`` when empty. Share it. Raises ``Refused`` for settings that do not fit."""
    async with open_client(site(api, web)) as client:
        who = credentials(client, access)
        yield Connection(GitHub(client, who), who)


def credentials(client: Client, access: Access) -> AppCredentials | TokenCredentials | NoCredentials:
    """Raises ``Refused`` for an access that cannot be used."""
    if bool(access.app_id) != bool(access.private_key):
        raise Refused("a GitHub App needs its id and its private key; set both or neither")
    if access.app_id:
        return AppCredentials(client, app_id=access.app_id, private_key=access.private_key)
    write, read = _plain(access.token), _plain(access.read_token)
    if write or read:
        return TokenCredentials(client.site, write=write, read=read)
    return NoCredentials()


def _plain(token: str) -> str:
    """Files that hold a token end in a line break."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Refused("the GitHub token holds something that is no letter, digit or sign; set it again")
    return token
