"""Issues that are submitted as references: looked up before anything is recorded."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from amelia.adapters.github.site import site
from amelia.contract.workflow import Issue, Profile
from amelia.errors import Limited, NotFound, Unauthorised, Unavailable
from amelia.trackers.connection import Access, Trackers
from amelia.trackers.submitted import LookedUp
from amelia.trackers.tracker import Comment

from ..conftest import Opener
from .conftest import BODY, Api, serving
from .test_requests import is_problem


class Tracker:
    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.asked: list[str] = []

    async def read(self, reference: str) -> Issue:
        self.asked.append(reference)
        if self.fails is not None:
            raise self.fails
        return Issue(
            id=reference, title="Totals are wrong", body="By a cent.", labels=("bug",), url=f"https://t/{reference}"
        )

    async def tell(self, reference: str, comment: Comment) -> str:
        raise AssertionError("the api says nothing")


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
async def api(open_journal: Opener, tmp_path: Path, tracker: Tracker) -> AsyncIterator[Api]:
    trackers = Trackers(Access(site=site()), tracker, None)
    api = await serving(await open_journal(size=8), tmp_path, issues=LookedUp(trackers))
    yield api
    await api.stop()


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


def asked(reference: str, **fields: object) -> dict[str, object]:
    return {**BODY, "issue": {"id": reference}, **fields}


async def test_a_reference_is_read_before_it_is_recorded(api: Api, http: httpx.AsyncClient) -> None:
    answer = await http.post("/workflows", json=asked("https://github.com/acme/shop/issues/7"))
    assert answer.status_code == 202
    view = answer.json()
    assert view["issue"] == {
        "id": "acme/shop#7",
        "title": "Totals are wrong",
        "body": "By a cent.",
        "labels": ["bug"],
        "url": "https://t/acme/shop#7",
    }
    row = await api.journal.get(view["id"])
    assert row is not None
    assert row.workflow.profile.tracker == "github"


async def test_a_number_belongs_to_the_repository_that_is_named(http: httpx.AsyncClient, tracker: Tracker) -> None:
    body = asked("#7", repository="https://github.com/acme/shop.git")
    assert (await http.post("/workflows", json=body)).status_code == 202
    assert tracker.asked == ["acme/shop#7"]


async def test_an_issue_that_is_given_in_full_asks_nobody(http: httpx.AsyncClient, tracker: Tracker) -> None:
    answer = await http.post("/workflows", json={**BODY, "issue": {"id": "acme/shop#7", "title": "t"}})
    assert (answer.status_code, answer.json()["issue"]["title"]) == (202, "t")
    assert not tracker.asked


async def test_the_same_request_again_is_answered_though_the_tracker_is_away(
    http: httpx.AsyncClient, tracker: Tracker
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await http.post("/workflows", json=asked("acme/shop#7"), headers=headers)
    tracker.fails = Unavailable("the tracker is away")
    second = await http.post("/workflows", json=asked("acme/shop#7"), headers=headers)
    assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])
    assert second.json()["issue"]["title"] == "Totals are wrong"
    other = await http.post("/workflows", json=asked("acme/shop#8"), headers=headers)
    is_problem(other, 422, "came before with another body")


async def test_what_the_tracker_says_is_answered_and_nothing_is_recorded(
    api: Api, http: httpx.AsyncClient, tracker: Tracker
) -> None:
    tracker.fails = NotFound("acme/shop#7: GitHub answered 404; check the address")
    is_problem(await http.post("/workflows", json=asked("acme/shop#7")), 404, "GitHub answered 404")
    tracker.fails = Limited("too many requests; try again in 30 seconds", seconds=30)
    limited = await http.post("/workflows", json=asked("acme/shop#7"))
    is_problem(limited, 503, "in 30 seconds")
    assert limited.headers["retry-after"] == "30"
    tracker.fails = Unauthorised("GitHub answered 401; the credential is wrong: set a new one")
    is_problem(await http.post("/workflows", json=asked("acme/shop#7")), 503, "in the control plane's settings")
    is_problem(await http.post("/workflows", json=asked("wrong-total")), 422, "give it a title")
    is_problem(await http.post("/workflows", json=asked("https://example.com/x")), 422, "no tracker")
    no_server = asked("PROJ-7", profile={"tracker": "jira"})
    is_problem(await http.post("/workflows", json=no_server), 422, "JIRA_BASE_URL")
    assert await api.journal.page(before=None, limit=5) == []


async def test_the_profile_keeps_what_it_says_of_the_tracker(tracker: Tracker) -> None:
    reader = LookedUp(Trackers(Access(site=site()), tracker, tracker))
    issue, profile = await reader.complete(Issue(id="PROJ-7"), Profile(tracker="jira"), "https://x.y/z")
    assert (issue.id, profile.tracker, tracker.asked) == ("PROJ-7", "jira", ["PROJ-7"])
