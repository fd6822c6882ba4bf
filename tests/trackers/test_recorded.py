"""Answers as the services write them, with everything in them that we do not read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from amelia.adapters.github.site import site
from amelia.adapters.jira import JiraAccess
from amelia.trackers.connection import Access, open_trackers
from amelia.trackers.reference import Known

RECORDED = Path(__file__).parent / "recorded"
ANSWERS = {
    "/repos/octocat/Hello-World/issues/1347": "github_issue",
    "/repos/octocat/Hello-World/issues/1347/comments": "github_comments",
    "/rest/api/3/issue/ED-1": "jira_issue",
    "/rest/api/3/issue/ED-1/comment": "jira_comments",
}


@pytest.fixture
async def access() -> AsyncIterator[Access]:
    async def answer(request: web.Request) -> web.Response:
        body = (RECORDED / f"{ANSWERS[request.path]}.json").read_bytes()
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield Access(site=site(url, "https://github.com"), jira=JiraAccess(base_url=url, token="t"))
    await runner.cleanup()


async def test_github_leaves_out_what_is_not_there(access: Access) -> None:
    async with open_trackers(access) as trackers:
        issue = await trackers.read(Known(tracker="github", issue="octocat/Hello-World#1347"))
    assert (issue.id, issue.title, issue.labels) == ("octocat/Hello-World#1347", "Found a bug", ("bug", "help wanted"))
    assert issue.url == "https://github.com/octocat/Hello-World/issues/1347"
    assert issue.body == (
        "---\n\n**Comment by ghost, 2011-04-14 16:00**\n\nMe too\n\n**Comment by octocat, 2011-04-15 16:00**\n\nFixed?"
    )


async def test_jira_says_more_than_is_read(access: Access) -> None:
    async with open_trackers(access) as trackers:
        issue = await trackers.read(Known(tracker="jira", issue="ED-1"))
    assert (issue.title, issue.labels) == ("Main order flow broken", ("orders", "money"))
    assert issue.body == (
        "Order entry fails when selecting supplier.\n\n[attachment: picture.jpg]\n\n- see @Mia\n\n"
        "Attachments:\n\n- picture.jpg (file, 23123 bytes)\n\n---\n\n"
        "**Comment by Mia Krystof, 2026-02-19 12:36**\n\nFirst.\n\n"
        "**Comment by somebody, 2026-02-20 12:36**\n\nSecond."
    )
