"""A fleet of real processes with an issue of GitHub: read by its reference, and told what becomes of it, once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import HERE, Fleet, until

from ..github.ledger import Fault, Ledger
from ..github.peer import Peer

pytestmark = pytest.mark.e2e
TOKEN = "peer-token-0123456789"


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """With acme/shop#7; it answers in a thread of its own, and the fleet's environment names it."""
    peer = Peer(tmp_path / "github")
    peer.ledger.grant(TOKEN)
    peer.ledger.add_repository("acme/shop")
    peer.ledger.add_issue("acme/shop", 7, "Say hello politely", "It is rude.", labels=["manners"])
    peer.ledger.add_comment("acme/shop", 7, "Very rude.", user="ben")
    started, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    ports: list[int] = []

    async def serve() -> None:
        async with peer.listening() as port:
            ports.append(port)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    monkeypatch.setenv("AMELIA_GITHUB_API_URL", f"http://127.0.0.1:{ports[0]}")
    monkeypatch.setenv("AMELIA_PUBLIC_URL", "https://amelia.example.com")
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("AMELIA_GITHUB_TOKEN_FILE", str(tmp_path / "token"))
    yield peer.ledger
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


def test_an_issue_of_github_is_read_by_the_fleet_and_told_once(
    github: Ledger, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(tmp_path / "fleet", HERE / "greeting.yaml")
    fleet.up()
    try:
        monkeypatch.delenv("AMELIA_GITHUB_TOKEN_FILE")
        github.fail(Fault(path="/comments$", method="POST", after=True, reset=True))
        started = fleet.amelia("start", "acme/shop#7", "--remote", "--detach", "--repo", str(repository))
        [workflow_id] = started.stdout.split()
        view = fleet.reaches(workflow_id, "blocked")
        assert (view.issue.title, view.issue.labels) == ("Say hello politely", ("manners",))
        assert "Very rude." in view.issue.body
        until(lambda: len(_told(github)) >= 2 or None, "the start and the wait are told")
        fleet.approve(workflow_id)
        ended = fleet.ends(workflow_id)
        assert ended.status == "completed"
        until(lambda: len(_told(github)) >= 3 or None, "the end is told")
        begun, waiting, done = _told(github)
        assert "has begun" in begun
        assert "- Say good day" in waiting
        assert f"the branch `{ended.branch}`" in done
        assert all(f"https://amelia.example.com/workflows/{workflow_id}" in text for text in (begun, waiting, done))
        unknown = fleet.amelia("start", "acme/shop#8", "--remote", "--detach", "--output", "json", ok=False)
        assert (unknown.returncode, json.loads(unknown.stderr)["error"]["kind"]) == (4, "not found")
    finally:
        fleet.down()


def _told(github: Ledger) -> list[str]:
    return [comment.body for comment in github.comments("acme/shop", 7) if comment.user == "amelia[bot]"]
