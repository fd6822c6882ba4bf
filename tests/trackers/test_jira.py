"""Issues of Jira: read with their comments, told once."""

from typing import Any

import pytest

from amelia.adapters.jira import JiraAccess, checked
from amelia.errors import Limited, NotFound, Refused, Unauthorised, Unavailable
from amelia.trackers.reference import Known
from amelia.trackers.tracker import Comment

from .conftest import World
from .jira_peer import Fault

ISSUE = Known(tracker="jira", issue="PROJ-7")
COMMENT = Comment(text="Work has begun, on `amelia/x`.\n\n- one\n- two", key="wf-1/start/3")


def said(text: str) -> dict[str, Any]:
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]}]
    return {"type": "doc", "version": 1, "content": content}


async def test_an_issue_comes_with_its_labels_comments_and_attachments(world: World) -> None:
    shot = {"id": "1", "filename": "shot.png", "mimeType": "image/png", "size": 120}
    world.jira.add(
        "PROJ-7", summary="Totals are wrong", description=said("By a cent."), labels=["money"], attachment=[shot]
    )
    world.jira.comment("PROJ-7", said("first"), by="Ben")
    world.jira.comment("PROJ-7", said("second"))
    issue = await (await world.trackers()).read(ISSUE)
    assert (issue.id, issue.title, issue.labels) == ("PROJ-7", "Totals are wrong", ("money",))
    assert issue.url == f"{world.jira.url}/browse/PROJ-7"
    assert issue.body == (
        "By a cent.\n\nAttachments:\n\n- shot.png (image/png, 120 bytes)\n\n---\n\n"
        "**Comment by Ben, 2026-01-02 03:04**\n\nfirst\n\n**Comment by Ada, 2026-01-02 03:04**\n\nsecond"
    )


async def test_an_issue_without_a_description_is_one(world: World) -> None:
    world.jira.add("PROJ-7", summary="Only a title", labels=None, attachment=None)
    issue = await (await world.trackers()).read(ISSUE)
    assert (issue.title, issue.body) == ("Only a title", "")


async def test_all_comments_are_read_page_by_page_and_ours_left_out(world: World) -> None:
    world.jira.add("PROJ-7")
    trackers = await world.trackers()
    await trackers.tell(ISSUE, COMMENT)
    for number in range(150):
        world.jira.comment("PROJ-7", said(f"say {number};"))
    body = (await trackers.read(ISSUE)).body
    assert body.index("say 0;") < body.index("say 149;")
    assert "Work has begun" not in body


async def test_a_bearer_token_is_taken_too(world: World) -> None:
    world.jira.add("PROJ-7", summary="t")
    trackers = await world.trackers(world.access(email="", jira="pat-0123456789"))
    assert (await trackers.read(ISSUE)).title == "t"


async def test_a_comment_is_made_once_whatever_happened_to_the_answer(world: World) -> None:
    world.jira.add("PROJ-7")
    trackers = await world.trackers()
    world.jira.faults.append(Fault("POST", 502, after=True))
    with pytest.raises(Unavailable, match="again later"):
        await trackers.tell(ISSUE, COMMENT)
    where = await trackers.tell(ISSUE, COMMENT)
    assert where == f"{world.jira.url}/browse/PROJ-7?focusedCommentId=10000"
    assert len(world.jira.comments["PROJ-7"]) == 1
    assert len([method for method, _, _ in world.jira.requests if method == "POST"]) == 1


async def test_what_somebody_else_wrote_under_our_mark_does_not_silence_us(world: World) -> None:
    world.jira.add("PROJ-7")
    world.jira.comment("PROJ-7", said("amelia wf-1/start/3"), by="Mallory")
    trackers = await world.trackers()
    assert await trackers.tell(ISSUE, COMMENT) == await trackers.tell(ISSUE, COMMENT)
    assert [one["author"]["accountId"] for one in world.jira.comments["PROJ-7"]] == ["Mallory", "Amelia"]


async def test_every_bad_answer_says_what_to_do(world: World) -> None:
    world.jira.add("PROJ-7")
    with pytest.raises(NotFound, match="JIRA_API_TOKEN"):
        await (await world.trackers(world.access(jira=""))).read(ISSUE)
    with pytest.raises(Refused, match="no credential"):
        await (await world.trackers(world.access(jira=""))).tell(ISSUE, COMMENT)
    with pytest.raises(Unauthorised, match="set a new one"):
        await (await world.trackers(world.access(jira="wrong-token"))).read(ISSUE)
    trackers = await world.trackers()
    with pytest.raises(NotFound, match="does not exist or you do not have permission"):
        await trackers.read(Known(tracker="jira", issue="PROJ-8"))
    world.jira.faults.append(Fault("GET", 429, headers={"Retry-After": "30"}))
    with pytest.raises(Limited, match="in 30 seconds"):
        await trackers.read(ISSUE)
    world.jira.faults.append(Fault("POST", 403, body='{"errorMessages": ["You may not comment."], "errors": {}}'))
    with pytest.raises(Refused, match=r"You may not comment; give the account .* Add Comments"):
        await trackers.tell(ISSUE, COMMENT)
    world.jira.faults.append(Fault("GET", 200, body="<html>log in</html>"))
    with pytest.raises(Unavailable, match="cannot be read"):
        await trackers.read(ISSUE)


async def test_what_jira_refuses_of_a_comment_is_said(world: World) -> None:
    world.jira.add("PROJ-7")
    world.jira.faults.append(Fault("POST", 400, body='{"errorMessages": [], "errors": {"comment": "is not valid!"}}'))
    with pytest.raises(Refused, match="comment: is not valid!"):
        await (await world.trackers()).tell(ISSUE, COMMENT)


@pytest.mark.parametrize("url", ["acme", "http://jira.example.com", "https://a:b@example.com", "https://x/?y=1", ""])
def test_a_token_goes_to_no_address_that_is_not_plain_and_safe(url: str) -> None:
    with pytest.raises(Refused, match=r"https://example\.atlassian\.net"):
        checked(url)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(JiraAccess(base_url="https://x.y", email="a@b.c", token="secret-token"))
