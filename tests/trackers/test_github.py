"""Issues of GitHub: read with their comments, told once."""

import asyncio
import time

import pytest

from amelia.adapters.github.connection import Access as GitHubAccess
from amelia.errors import Limited, NotFound, Refused, Unauthorised, Unavailable
from amelia.trackers.reference import Known
from amelia.trackers.tracker import Comment

from ..github.ledger import Comment as GitHubComment
from ..github.ledger import Fault
from .conftest import World

SHOP = Known(tracker="github", issue="acme/shop#7")
COMMENT = Comment(text="Work has begun.", key="wf-1/start/3", since="2026-01-01T00:00:00+00:00")


async def test_an_issue_comes_with_its_labels_and_comments(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "Totals are wrong", "By a cent.\r\n\r\nSee #3.", labels=["bug", "money"])
    world.github.add_comment("acme/shop", 7, "Since Monday.", user="ben")
    issue = await (await world.trackers()).read(SHOP)
    assert (issue.id, issue.title, issue.labels) == ("acme/shop#7", "Totals are wrong", ("bug", "money"))
    assert issue.url == f"{world.web}/acme/shop/issues/7"
    assert issue.body == ("By a cent.\n\nSee #3.\n\n---\n\n**Comment by ben, 2026-01-02 03:04**\n\nSince Monday.")


async def test_an_issue_without_a_body_is_one(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "Only a title")
    issue = await (await world.trackers()).read(SHOP)
    assert (issue.title, issue.body, issue.labels) == ("Only a title", "", ())


async def test_our_own_comments_are_no_part_of_an_issue(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "t", "b")
    trackers = await world.trackers()
    await trackers.tell(SHOP, COMMENT)
    assert (await trackers.read(SHOP)).body == "b"


async def test_of_very_many_comments_the_newest_are_kept_and_the_others_counted(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "t", "b" * 100)
    world.github.kept.comments += [
        GitHubComment(id=number, issue=7, repository="acme/shop", body=f"say {number} {'y' * 200}")
        for number in range(1_205)
    ]
    issue = await (await world.trackers()).read(SHOP)
    assert "say 1204 " in issue.body
    assert "say 3 " not in issue.body
    assert "older comments are left out" in issue.body
    assert len(issue.body) <= 60_000


async def test_what_is_public_is_read_without_a_token_and_what_is_not_says_so(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "t")
    trackers = await world.trackers(world.access(github=""))
    with pytest.raises(NotFound, match="issues: read"):
        await trackers.read(SHOP)
    world.github.kept.repositories["acme/shop"].public = True
    assert (await trackers.read(SHOP)).title == "t"
    with pytest.raises(Refused, match="no credential"):
        await trackers.tell(SHOP, COMMENT)


async def test_an_issue_that_was_transferred_is_followed(world: World) -> None:
    world.github.add_repository("acme/store")
    world.github.add_issue("acme/shop", 7, "old", moved="acme/store#2")
    world.github.add_issue("acme/store", 2, "new")
    world.github.add_comment("acme/store", 2, "there")
    issue = await (await world.trackers()).read(SHOP)
    assert (issue.id, issue.title) == ("acme/store#2", "new")
    assert "there" in issue.body


async def test_every_bad_answer_says_what_to_do(world: World) -> None:
    trackers = await world.trackers()
    with pytest.raises(NotFound, match=r"acme/shop#7.*404"):
        await trackers.read(SHOP)
    world.github.add_issue("acme/shop", 7, "t", gone=True)
    with pytest.raises(NotFound, match="deleted"):
        await trackers.read(SHOP)
    for status, kind, words in ((500, Unavailable, "again later"), (401, Unauthorised, "set a new one")):
        world.github.fail(Fault(path="/issues/7$", status=status, times=2))
        with pytest.raises(kind, match=words):
            await trackers.read(SHOP)
        world.github.kept.faults.clear()
    world.github.fail(Fault(path="/issues/7$", status=200, body="<html>"))
    with pytest.raises(Unavailable, match="cannot be read"):
        await trackers.read(SHOP)


async def test_a_limit_says_until_when(world: World) -> None:
    trackers = await world.trackers()
    world.github.fail(Fault(path="/issues/7$", status=429, headers={"Retry-After": "17"}))
    with pytest.raises(Limited, match="in 17 seconds") as limited:
        await trackers.read(SHOP)
    assert limited.value.seconds == 17
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 600)}
    world.github.fail(
        Fault(path="/issues/7$", status=403, headers=reset, body='{"message": "API rate limit exceeded"}')
    )
    with pytest.raises(Limited) as limited:
        await trackers.read(SHOP)
    assert 590 <= limited.value.seconds <= 600


async def test_a_token_that_may_not_write_is_told_what_it_lacks(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "t")
    world.github.grant("reads", issues="read", contents="read")
    trackers = await world.trackers(world.access(github="reads"))
    assert (await trackers.read(SHOP)).title == "t"
    with pytest.raises(Refused, match="issues: write"):
        await trackers.tell(SHOP, COMMENT)


async def test_a_comment_is_made_once_whatever_happened_to_the_answer(world: World) -> None:
    world.github.add_issue("acme/shop", 7, "t")
    trackers = await world.trackers()
    world.github.fail(Fault(path="/comments$", method="POST", after=True, reset=True))
    with pytest.raises(Unavailable, match="no answer"):
        await trackers.tell(SHOP, COMMENT)
    where = await trackers.tell(SHOP, COMMENT)
    assert where.endswith("/acme/shop/issues/7#issuecomment-1")
    [told] = world.github.comments("acme/shop", 7)
    assert told.body == "Work has begun.\n\n<!-- amelia: wf-1/start/3 -->"
    await trackers.tell(SHOP, Comment(text="Done.", key="wf-1/completion/9"))
    assert len(world.github.comments("acme/shop", 7)) == 2


@pytest.mark.parametrize(("status", "us"), [(200, '{"login": "amelia[bot]"}'), (404, "{}")])
async def test_what_somebody_else_wrote_under_our_mark_does_not_silence_us(world: World, status: int, us: str) -> None:
    """Where GitHub does not say who we are, the mark has to do."""
    world.github.add_issue("acme/shop", 7, "t")
    forged = f"<!-- amelia: {COMMENT.key} -->"
    world.github.add_comment("acme/shop", 7, forged, user="mallory", created_at="2099-01-01T00:00:00Z")
    world.github.fail(Fault(path="/user$", status=status, body=us, times=3))
    trackers = await world.trackers()
    assert await trackers.tell(SHOP, COMMENT) == await trackers.tell(SHOP, COMMENT)
    users = [one.user for one in world.github.comments("acme/shop", 7)]
    assert users == (["mallory", "amelia[bot]"] if status == 200 else ["mallory"])


async def test_an_app_asks_for_issues_alone(world: World) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from ..github.ledger import App

    key = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    world.github.kept.app = App(id="12", public_key=public)
    world.github.add_issue("acme/shop", 7, "t")
    access = world.access(github="")
    app = type(access)(site=access.site, github=GitHubAccess(app_id="12", private_key=private))
    trackers = await world.trackers(app)
    await trackers.read(SHOP)
    await trackers.tell(SHOP, COMMENT)
    issued = [grant.permissions for name, grant in world.github.kept.tokens.items() if name.startswith("ghs_")]
    assert issued == [{"issues": "read"}, {"issues": "write"}]


async def test_a_credential_that_cannot_be_used_is_said_when_it_is_needed(world: World) -> None:
    access = world.access(github="two words", jira="two words")
    trackers = await world.trackers(access)
    with pytest.raises(Refused, match="set it again"):
        await trackers.read(SHOP)
    with pytest.raises(Refused, match="set it again"):
        await trackers.tell(Known(tracker="jira", issue="PROJ-7"), COMMENT)
