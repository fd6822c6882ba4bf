"""``amelia start`` with issues of GitHub and Jira, and what they are told of work in this process."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from amelia.contract.views import StartRequest
from amelia.contract.workflow import Issue

from ..client.pretend_fleet import PretendFleet
from ..github.ledger import Fault, Ledger
from ..github.peer import Peer
from ..trackers.jira_peer import EMAIL, TOKEN, JiraPeer
from .conftest import Amelia
from .test_start_local import CONVERSATION

GITHUB_TOKEN = "peer-token-0123456789"
JIRA_DESCRIPTION = {
    "type": "doc",
    "version": 1,
    "content": [{"type": "paragraph", "content": [{"type": "text", "text": "By a cent."}]}],
}


class Trackers:
    """``github`` and ``jira`` answer in a thread of their own."""

    def __init__(self, github: Ledger, api: str, jira: JiraPeer) -> None:
        self.github, self.api, self.jira = github, api, jira

    def comments(self) -> list[str]:
        """On acme/shop#7."""
        return [comment.body for comment in self.github.comments("acme/shop", 7)]


@pytest.fixture
def trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[Trackers]:
    """acme/shop#7 and PROJ-7, named by the environment; acme/shop is the origin of the repository here."""
    peer, jira = Peer(tmp_path / "github"), JiraPeer()
    peer.ledger.grant(GITHUB_TOKEN)
    peer.ledger.add_repository("acme/shop")
    peer.ledger.add_issue("acme/shop", 7, "Totals are wrong", "By a cent.", labels=["bug"])
    peer.ledger.add_comment("acme/shop", 7, "Since Monday.", user="ben")
    jira.add("PROJ-7", summary="Totals are wrong", description=JIRA_DESCRIPTION)
    started, stop = threading.Event(), asyncio.Event()
    found: list[int] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            found.append(await stack.enter_async_context(peer.listening()))
            await stack.enter_async_context(jira.listening())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    api = f"http://127.0.0.1:{found[0]}"
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "JIRA_TOKEN", "JIRA_BEARER_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AMELIA_GITHUB_API_URL", api)
    monkeypatch.setenv("GITHUB_TOKEN", GITHUB_TOKEN)
    monkeypatch.setenv("JIRA_BASE_URL", jira.url)
    monkeypatch.setenv("JIRA_EMAIL", EMAIL)
    monkeypatch.setenv("JIRA_API_TOKEN", TOKEN)
    subprocess.run(["git", "remote", "add", "origin", f"{api}/acme/shop.git"], check=True)
    yield Trackers(peer.ledger, api, jira)
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


@pytest.fixture
def conversation(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMELIA_DRIVER", "api:bedrock")
    path = tmp_path / "conversation.yaml"
    path.write_text(CONVERSATION.replace("LATENCY", "0"))
    return path


def asked(fleet: PretendFleet) -> StartRequest:
    [body] = [body for method, path, body in fleet.requests if (method, path) == ("POST", "/api/v1/workflows")]
    return msgspec.json.decode(body, type=StartRequest)


@pytest.mark.parametrize("named", ["acme/shop#7", "#7", "{api}/acme/shop/issues/7"])
def test_an_issue_of_github_is_read_here_and_sent_in_full(
    amelia: Amelia, fleet: PretendFleet, trackers: Trackers, named: str
) -> None:
    ran = amelia("start", named.format(api=trackers.api), "--remote", "--detach")
    assert ran.code == 0, ran.err
    request = asked(fleet)
    assert (request.issue.id, request.issue.title, request.issue.labels) == (
        "acme/shop#7",
        "Totals are wrong",
        ("bug",),
    )
    assert "Since Monday." in request.issue.body
    assert request.profile.tracker == "github"


def test_an_issue_of_jira_is_read_here_and_sent_in_full(
    amelia: Amelia, fleet: PretendFleet, trackers: Trackers
) -> None:
    assert amelia("start", "PROJ-7", "--remote", "--detach").code == 0
    request = asked(fleet)
    assert (request.issue.id, request.issue.body) == ("PROJ-7", "By a cent.")
    assert request.profile.tracker == "jira"


def test_without_a_credential_here_the_fleet_gets_the_reference(
    amelia: Amelia, fleet: PretendFleet, trackers: Trackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert amelia("start", "#7", "--remote", "--detach").code == 0
    request = asked(fleet)
    assert request.issue == Issue(id="acme/shop#7")
    assert request.profile.tracker == "github"
    assert not trackers.github.requests()


def test_what_is_wrong_with_a_reference_has_an_exit_code_and_a_way_out(
    amelia: Amelia, trackers: Trackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = amelia("start", "acme/shop#8")
    assert (missing.code, "acme/shop#8" in missing.err, "issues: read" in missing.err) == (4, True, True), missing.err
    trackers.github.fail(Fault(path="/issues/7$", status=429, headers={"Retry-After": "30"}))
    limited = amelia("start", "acme/shop#7")
    assert (limited.code, "in 30 seconds" in limited.err) == (7, True), limited.err
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")
    wrong = amelia("start", "acme/shop#7")
    assert (wrong.code, "set a new one" in wrong.err) == (3, True), wrong.err
    no_issue = amelia("start", f"{trackers.api}/acme/shop")
    assert (no_issue.code, "is no issue" in no_issue.err) == (2, True), no_issue.err
    monkeypatch.delenv("JIRA_BASE_URL")
    no_server = amelia("start", "https://acme.atlassian.net/browse/PROJ-7")
    assert (no_server.code, "JIRA_BASE_URL" in no_server.err) == (2, True), no_server.err


def test_work_in_this_process_is_told_where_its_issue_is(
    process: Amelia, trackers: Trackers, conversation: Path
) -> None:
    start = ["start", "acme/shop#7", "--replay", str(conversation)]
    first = process(*start)
    assert (first.code, "note:" in first.err) == (0, False), first.err
    begun, waiting = trackers.comments()[1:]
    assert "has begun" in begun
    assert "- Round once" in waiting
    trackers.github.add_comment("acme/shop", 7, "Go on.", user="ben")
    second = process(*start, "--auto-approve", "--wait", "--output", "json")
    ended = json.loads(second.out)
    assert (second.code, ended["status"]) == (0, "completed"), second.err
    said = trackers.comments()[4:]
    assert [f"branch `{ended['branch']}`" in text for text in said] == [True], said
    assert all(ended["id"] in text for text in (begun, waiting, *said))


def test_a_tracker_that_refuses_comments_is_a_note_and_no_more(
    process: Amelia, trackers: Trackers, conversation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackers.github.grant("reads", issues="read")
    monkeypatch.setenv("GITHUB_TOKEN", "reads")
    ran = process("start", "acme/shop#7", "--replay", str(conversation), "--auto-approve")
    assert (ran.code, "completed" in ran.out) == (0, True), ran.err
    assert ran.err.count("note: the issue is not told how the work stands") == 1
    assert "issues: write" in ran.err
    assert len(trackers.comments()) == 1


def test_what_the_profile_switches_off_is_not_told(process: Amelia, trackers: Trackers, conversation: Path) -> None:
    Path("settings.amelia.yaml").write_text(
        "profiles: {default: {tracker: jira, tell: {start: false, block: false}}}\n"
    )
    ran = process("start", "PROJ-7", "--replay", str(conversation), "--auto-approve")
    assert (ran.code, "completed" in ran.out) == (0, True), ran.err
    [told] = trackers.jira.comments["PROJ-7"]
    assert "Done: the work is in" in json.dumps(told["body"])


def test_a_file_of_that_name_comes_first(amelia: Amelia, fleet: PretendFleet, trackers: Trackers) -> None:
    Path("PROJ-7").write_text("# From the file\n")
    assert amelia("start", "PROJ-7", "--remote", "--detach").code == 0
    assert asked(fleet).issue.title == "From the file"
    assert not trackers.jira.requests
