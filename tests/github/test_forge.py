"""One pull request a workflow, whatever happens between the request and its answer."""

import asyncio

import msgspec
import pytest

from amelia.adapters.github.connection import Access
from amelia.domain.report import marker
from amelia.errors import Conflict, NotFound, Refused, Unauthorised, Unavailable

from .conftest import BRANCH, TOKEN, WORKFLOW, GitHubPeer, add_branch, run
from .ledger import Fault, Pull


async def test_a_pull_request_is_opened_against_the_default_branch_and_found_again(peer: GitHubPeer) -> None:
    first = await peer.open(title="Add a shop", body="All of it.", draft=True)
    assert (first.number, first.draft, first.adopted) == (1, True, False)
    assert first.url.endswith("/acme/shop/pull/1")
    again = await peer.open(title="Add a shop", body="All of it.", draft=True)
    assert (again.number, again.url, again.adopted) == (first.number, first.url, True)
    [pull] = peer.ledger.kept.pulls
    assert (pull.base, pull.head, pull.title) == ("main", BRANCH, "Add a shop")
    assert pull.body == f"All of it.\n\n{marker(WORKFLOW)}"
    assert len(peer.requests("POST", "/pulls")) == 1
    assert not peer.requests("PATCH")


async def test_one_that_was_opened_without_our_hearing_of_it_is_adopted(peer: GitHubPeer) -> None:
    peer.ledger.fail(Fault(path="/pulls$", method="POST", after=True, reset=True))
    with pytest.raises(Unavailable, match="gave no answer"):
        await peer.open()
    assert (await peer.open()).adopted
    assert len(peer.ledger.kept.pulls) == 1


async def test_two_at_once_open_one(peer: GitHubPeer) -> None:
    """Each sees none before the other's is there, which the first answers to their looking say by a fault."""
    peer.ledger.fail(Fault(path="/pulls[?]", method="GET", times=2, after=True, status=200, body="[]"))
    connections = [await peer.connect(), await peer.connect()]
    opened = await asyncio.gather(*(peer.open(connection) for connection in connections))
    assert [pull.number for pull in opened] == [1, 1]
    assert sorted(pull.adopted for pull in opened) == [False, True]
    assert len(peer.ledger.kept.pulls) == 1
    assert len(peer.requests("POST", "/pulls")) == 2


async def test_one_that_exists_and_is_not_shown_yet_is_waited_for(peer: GitHubPeer) -> None:
    await peer.open()
    peer.ledger.fail(Fault(path="/pulls[?]", method="GET", times=2, status=200, body="[]"))
    with pytest.raises(Unavailable, match="not shown yet"):
        await peer.open()
    assert (await peer.open()).adopted


async def test_an_open_one_gets_the_new_body_and_one_that_was_closed_with_its_branch_is_opened_again(
    peer: GitHubPeer,
) -> None:
    await peer.open(body="old")
    assert (await peer.open(body="new")).adopted
    [pull] = peer.ledger.kept.pulls
    assert pull.body == f"new\n\n{marker(WORKFLOW)}"
    pull.state = "closed"
    again = await peer.open(body="newer")
    assert (again.number, again.adopted) == (1, True)
    assert (pull.state, pull.body) == ("open", f"newer\n\n{marker(WORKFLOW)}")


async def test_one_that_cannot_be_opened_again_is_followed_by_a_new_one(peer: GitHubPeer) -> None:
    await peer.open()
    [pull] = peer.ledger.kept.pulls
    pull.state = "closed"
    said = '{"message": "state cannot be changed. The branch was force-pushed or recreated."}'
    peer.ledger.fail(Fault(path="/pulls/1", method="PATCH", status=422, body=said))
    again = await peer.open()
    assert (again.number, again.adopted) == (2, False)


async def test_one_that_was_merged_is_left_as_it_is(peer: GitHubPeer) -> None:
    await peer.open(body="old")
    [pull] = peer.ledger.kept.pulls
    pull.state, pull.merged = "closed", True
    assert (await peer.open(body="new")).number == 1
    assert (pull.state, pull.body) == ("closed", f"old\n\n{marker(WORKFLOW)}")


async def test_line_ends_of_githubs_own_editor_are_no_difference(peer: GitHubPeer) -> None:
    await peer.open(body="one\ntwo")
    [pull] = peer.ledger.kept.pulls
    pull.body = pull.body.replace("\n", "\r\n")
    assert (await peer.open(body="one\ntwo")).adopted
    assert not peer.requests("PATCH")


async def test_somebody_elses_open_pull_request_is_a_conflict_and_a_closed_one_is_not(peer: GitHubPeer) -> None:
    theirs = Pull(1, "acme/shop", BRANCH, "main", "theirs", body=marker("wf-another"))
    peer.ledger.kept.pulls.append(theirs)
    with pytest.raises(Conflict, match=f"/pull/1 is open from the branch {BRANCH} and is not of {WORKFLOW}; close it"):
        await peer.open()
    assert theirs.body == marker("wf-another")
    theirs.state = "closed"
    assert (await peer.open()).number == 2


async def test_ours_is_found_behind_a_hundred_others(peer: GitHubPeer) -> None:
    ours = Pull(1, "acme/shop", BRANCH, "main", "ours", body=marker(WORKFLOW), state="closed")
    others = [Pull(n, "acme/shop", BRANCH, "main", "x", state="closed") for n in range(2, 130)]
    peer.ledger.kept.pulls += [ours, *others]
    assert (await peer.open()).number == 1
    assert [r["query"].get("page") for r in peer.requests("GET", "/pulls")] == [None, "2"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=502), "502"),
        (Fault(status=500, after=True), "500"),
        (Fault(status=429, headers={"Retry-After": "30"}), "in 30 seconds"),
        (Fault(status=403, headers={"x-ratelimit-remaining": "0"}), "403"),
        (Fault(status=403, body='{"message": "You have exceeded a secondary rate limit."}'), "secondary rate limit"),
        (Fault(reset=True, times=2), "gave no answer"),
        (Fault(status=200, body="<html>"), "cannot be read"),
    ],
)
@pytest.mark.parametrize("path", ["/repos/acme/shop$", "/pulls"])
async def test_what_may_pass_is_unavailable_and_the_next_try_opens_it(
    peer: GitHubPeer, fault: Fault, said: str, path: str
) -> None:
    peer.ledger.fail(msgspec.structs.replace(fault, path=path))
    with pytest.raises(Unavailable, match=said):
        await peer.open()
    await peer.open()
    assert len(peer.ledger.kept.pulls) == 1


async def test_a_silent_github_is_given_up(peer: GitHubPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amelia.adapters.rest.SECONDS", 0.2)
    peer.ledger.fail(Fault(path="/pulls$", method="POST", seconds=3, after=True))
    with pytest.raises(Unavailable, match="gave no answer"):
        await peer.open()


@pytest.mark.parametrize(
    ("granted", "repositories", "kind", "said"),
    [
        ({"contents": "write"}, None, Refused, "403 Resource not accessible.*pull_requests: write"),
        ({"pull_requests": "read"}, None, Refused, "it asks for pull_requests=write"),
        ({"pull_requests": "write"}, ["acme/other"], NotFound, "404.*access to acme/shop"),
    ],
)
async def test_a_permission_that_lacks_is_named(
    peer: GitHubPeer, granted: dict[str, str], repositories: list[str] | None, kind: type[Refused], said: str
) -> None:
    peer.ledger.grant("narrow", repositories, **granted)
    with pytest.raises(kind, match=said):
        await peer.open(await peer.connect(Access(token="narrow")))


async def test_a_wrong_token_is_told_and_never_shown(peer: GitHubPeer) -> None:
    connection = await peer.connect(Access(token="wrong-token-77\n"))
    with pytest.raises(Unauthorised, match="set a new one") as refused:
        await peer.open(connection)
    assert "wrong-token" not in str(refused.value) + repr(refused.value.__cause__) + repr(connection)
    assert "wrong-token" not in repr(Access(token="wrong-token-77"))
    with pytest.raises(Refused, match="no letter, digit or sign"):
        await peer.connect(Access(token="two\nlines"))


async def test_what_cannot_be_proposed_is_refused_with_its_reason(peer: GitHubPeer) -> None:
    with pytest.raises(NotFound, match="no branch develop to propose to"):
        await peer.open(base="develop")
    with pytest.raises(Unavailable, match="does not show the branch nothing"):
        await peer.open(branch="nothing")
    run(peer.ledger.bare("acme/shop"), "branch", "same", "main")
    with pytest.raises(Refused, match="nothing that main does not have"):
        await peer.open(branch="same")
    with pytest.raises(NotFound, match="404 Not Found"):
        await peer.open(repository=peer.url("acme/nothing"))


async def test_a_repository_without_drafts_gets_a_plain_one(peer: GitHubPeer) -> None:
    peer.ledger.kept.repositories["acme/shop"].drafts = False
    assert not (await peer.open(draft=True)).draft


async def test_a_renamed_repository_is_followed(peer: GitHubPeer) -> None:
    peer.ledger.kept.renamed["old/name"] = "acme/shop"
    first = await peer.open(repository=peer.url("old/name"))
    again = await peer.open(repository=peer.url("old/name"))
    assert (first.number, first.adopted, again.number, again.adopted) == (1, False, 1, True)


async def test_a_redirect_to_another_host_gets_no_credential(peer: GitHubPeer) -> None:
    elsewhere = peer.api.replace("127.0.0.1", "localhost")
    for number in (301, 307):
        fault = Fault(status=number, headers={"Location": f"{elsewhere}/repos/evil/shop"})
        peer.ledger.fail(fault)
        with pytest.raises(Refused, match="another host"):
            await peer.open()
    assert not peer.requests(path="/repos/evil/shop")
    peer.ledger.fail(Fault(status=301, headers={"Location": f"{peer.api}/repos/acme/shop"}, times=9))
    with pytest.raises(Refused, match="in a circle"):
        await peer.open()


async def test_every_request_names_itself_and_its_version(peer: GitHubPeer) -> None:
    await peer.open()
    for request in peer.requests():
        headers = request["headers"]
        assert headers["User-Agent"] == "amelia"
        assert headers["X-GitHub-Api-Version"] == "2022-11-28"
        assert headers["Authorization"] == f"Bearer {TOKEN}"


async def test_it_serves_its_own_host_and_only_with_a_credential(peer: GitHubPeer) -> None:
    forge = (await peer.connect()).forge
    host = peer.git.removeprefix("https://")
    for served in (peer.url(), peer.url().removesuffix(".git"), f"https://me@{host}/a/b/"):
        assert forge.serves(served), served
    other = [
        "https://github.com/a/b",
        f"http://{host}/a/b",
        f"{peer.git}/a",
        f"{peer.git}/a/b/c",
        f"{peer.git}/a/..",
        "",
    ]
    for not_served in [*other, f"{peer.git}\\@evil/a/b", f"{peer.git}/a/b?x", "file:///a/b"]:
        assert not forge.serves(not_served), not_served
    assert not (await peer.connect(Access())).forge.serves(peer.url())
    assert not (await peer.connect(Access(read_token="r"))).forge.serves(peer.url())
    with pytest.raises(Refused, match="does not serve"):
        await peer.open(repository="https://example.invalid/a/b")


async def test_a_branch_deleted_and_pushed_again_has_its_pull_request_found(peer: GitHubPeer) -> None:
    await peer.open()
    bare = peer.ledger.bare("acme/shop")
    run(bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
    add_branch(bare, BRANCH, "again")
    assert (await peer.open()).number == 1
