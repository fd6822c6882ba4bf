"""Tokens of an App, as narrow as they are short-lived, and tokens that were set."""

import asyncio
from typing import Any

import pytest

from amelia.adapters.github.connection import Access, Connection
from amelia.errors import NotFound, Refused, Unauthorised, Unavailable

from .conftest import TOKEN, GitHubPeer, Keys
from .ledger import App, Fault


@pytest.fixture
async def app(peer: GitHubPeer, keys: Keys) -> Connection:
    peer.ledger.kept.app = App("12", keys.public)
    return await peer.connect(Access(app_id="12", private_key=keys.private))


def asked(peer: GitHubPeer) -> list[Any]:
    return [request["body"] for request in peer.requests("POST", "/access_tokens")]


async def test_an_apps_tokens_are_for_one_repository_and_one_purpose(peer: GitHubPeer, app: Connection) -> None:
    write, read = await app.credentials.write(peer.url()), await app.credentials.read(peer.url())
    assert write != read
    assert asked(peer) == [
        {"repositories": ["shop"], "permissions": {"contents": "write", "pull_requests": "write"}},
        {"repositories": ["shop"], "permissions": {"contents": "read"}},
    ]
    assert peer.ledger.kept.tokens[read].repositories == ["acme/shop"]


async def test_a_token_is_kept_and_asked_for_once_by_many(peer: GitHubPeer, app: Connection) -> None:
    tokens = await asyncio.gather(*(app.credentials.write(peer.url()) for _ in range(10)))
    assert len(set(tokens)) == 1
    assert len(asked(peer)) == 1


async def test_a_token_near_its_end_is_replaced(
    peer: GitHubPeer, app: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await app.credentials.write(peer.url())
    monkeypatch.setattr("amelia.adapters.github.credentials.SPARE_SECONDS", 3500)
    assert await app.credentials.write(peer.url()) == first
    monkeypatch.setattr("amelia.adapters.github.credentials.SPARE_SECONDS", 3700)
    with pytest.raises(Unavailable, match="set this machine's clock"):
        await app.credentials.write(peer.url())
    assert len(asked(peer)) == 2


async def test_a_token_that_was_revoked_is_replaced_at_once(peer: GitHubPeer, app: Connection) -> None:
    first = await app.credentials.write(peer.url())
    del peer.ledger.kept.tokens[first]
    assert (await peer.open(app)).number == 1
    assert len(asked(peer)) == 2


async def test_an_app_that_is_not_installed_or_may_too_little_is_told_so(peer: GitHubPeer, app: Connection) -> None:
    with pytest.raises(NotFound, match="install the GitHub App on acme/nothing with contents: write"):
        await app.credentials.write(peer.url("acme/nothing"))
    assert peer.ledger.kept.app is not None
    peer.ledger.kept.app.permissions = {"contents": "read"}
    with pytest.raises(Refused, match=r"422.*not granted.*install the GitHub App on acme/shop"):
        await app.credentials.write(peer.url())
    assert await app.credentials.read(peer.url())


async def test_a_key_of_another_app_is_told_and_one_that_is_none_too(peer: GitHubPeer, keys: Keys) -> None:
    peer.ledger.kept.app = App("13", keys.public)
    connection = await peer.connect(Access(app_id="12", private_key=keys.private))
    with pytest.raises(Unauthorised, match="401"):
        await connection.credentials.write(peer.url())
    with pytest.raises(Refused, match="whole PEM file") as refused:
        await peer.connect(Access(app_id="12", private_key="-----BEGIN secret-material"))
    assert "secret-material" not in f"{refused.value} {refused.value.__cause__}"
    with pytest.raises(Refused, match="set both or neither"):
        await peer.connect(Access(app_id="12"))


async def test_a_github_that_is_away_is_unavailable_and_then_asked_again(peer: GitHubPeer, app: Connection) -> None:
    peer.ledger.fail(Fault(path="/access_tokens$", after=True, reset=True))
    with pytest.raises(Unavailable, match="getting a token for acme/shop"):
        await app.credentials.write(peer.url())
    assert await app.credentials.write(peer.url())


async def test_nothing_shows_a_token_or_a_key(peer: GitHubPeer, app: Connection, keys: Keys) -> None:
    token = await app.credentials.write(peer.url())
    fixed = await peer.connect(Access(token="fixed-1", read_token="fixed-2"))
    shown = repr(app) + repr(app.credentials) + repr(vars(app.credentials)["_issued"]) + repr(fixed)
    shown += repr(fixed.credentials) + repr(Access(app_id="12", private_key=keys.private))
    for secret in (token, "fixed-1", "fixed-2", keys.private[40:80]):
        assert secret not in shown


async def test_a_token_that_writes_is_not_given_out_to_read_with(peer: GitHubPeer) -> None:
    one = await peer.connect()
    assert (await one.credentials.write(peer.url()), await one.credentials.read(peer.url())) == (TOKEN, "")
    two = await peer.connect(Access(token="w", read_token="r"))
    assert await two.credentials.read(peer.url()) == "r"


async def test_no_other_host_gets_a_token(peer: GitHubPeer, app: Connection) -> None:
    for connection in (await peer.connect(), app, await peer.connect(Access())):
        for url in ("https://github.com/acme/shop", "file:///acme/shop", "https://evil.invalid/acme/shop"):
            assert await connection.credentials.write(url) == ""
            assert await connection.credentials.read(url) == ""
