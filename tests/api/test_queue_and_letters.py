"""Who waits for a turn, and what consumers gave up."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.domain.crowd import Limits
from amelia.ports.journal import Burial

from ..conftest import Opener
from ..samples import order, start, started
from .conftest import BODY, Api, cursor_of, serving
from .test_requests import is_problem


@pytest.fixture
async def narrow(open_journal: Opener, tmp_path: Path) -> AsyncIterator[Api]:
    """A fleet with one place, which is taken."""
    api = await serving(await open_journal(size=8), tmp_path, limits=Limits(fleet=1))
    await started(api.journal, owner="grace")
    yield api
    await api.stop()


# The queue


async def test_the_queue_has_a_place_a_limit_and_a_reason_for_everyone(narrow: Api) -> None:
    async with narrow.client() as http:
        ids = {}
        for priority in (0, 5, -5):
            ids[priority] = (await http.post("/workflows", json={**BODY, "priority": priority})).json()["id"]
        view = (await http.get("/queue")).json()
        assert (view["in_progress"], view["limit"], view["waiting"]) == (1, 1, 3)
        assert [item["workflow_id"] for item in view["items"]] == [ids[5], ids[0], ids[-5]]
        assert [item["place"]["position"] for item in view["items"]] == [1, 2, 3]
        assert {item["place"]["limit"] for item in view["items"]} == {"1 of 1 workflows are in progress"}
        assert {item["owner"] for item in view["items"]} == {"ada"}
        assert len((await http.get("/queue", params={"limit": 1})).json()["items"]) == 1
        shown = (await http.get(f"/workflows/{ids[-5]}")).json()
        assert shown["queue"] == view["items"][2]["place"]
        assert (await http.get("/workflows", params={"status": "in_progress"})).json()["items"][0]["queue"] is None
        await http.delete(f"/workflows/{ids[5]}")
        assert (await http.get(f"/workflows/{ids[-5]}")).json()["queue"]["position"] == 2
        for limit in ("0", "1001", "x"):
            is_problem(await http.get("/queue", params={"limit": limit}), 400)


async def test_an_empty_queue_is_one(http: httpx.AsyncClient) -> None:
    assert (await http.get("/queue")).json() == {"in_progress": 0, "limit": 50, "waiting": 0, "items": []}


# Lists


async def test_workflows_are_listed_by_several_statuses_owner_and_repository(api: Api, http: httpx.AsyncClient) -> None:
    working = (await started(api.journal, owner="grace")).workflow.id
    other = "https://example.org/other.git"
    pending = (await http.post("/workflows", json={**BODY, "repository": other})).json()["id"]
    ended = (await http.post("/workflows", json=BODY)).json()["id"]
    await http.delete(f"/workflows/{ended}")

    async def listed(*query: tuple[str, str]) -> set[str]:
        page = (await http.get("/workflows", params=list(query))).json()
        return {item["id"] for item in page["items"]}

    assert await listed(("status", "in_progress"), ("status", "pending")) == {working, pending}
    assert await listed(("owner", "grace")) == {working}
    assert await listed(("owner", "ada"), ("status", "cancelled")) == {ended}
    assert await listed(("repository", other)) == {pending}
    assert await listed(("repository", "\0")) == await listed(("owner", "nobody")) == set()
    is_problem(await http.get("/workflows", params={"status": ["pending", "dreaming"]}), 400)


# Dead letters


async def buried(api: Api, many: int = 3) -> None:
    lost = [codec.encode(order(c.AttendWorkflow, f"wf-{n}")).decode() for n in range(many)]
    await api.journal.bury(
        [Burial(source="commands", queue_id=str(n), body=b, cause="no", receives=3) for n, b in enumerate(lost)]
    )


async def test_dead_letters_are_listed_in_pages_and_shown_with_their_body(api: Api, http: httpx.AsyncClient) -> None:
    await buried(api, 5)
    await api.journal.bury([Burial(source="events", queue_id="q", body="\0\ud83d not JSON", cause="not an event")])
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await http.get("/dead-letters", params={"limit": 2, "cursor": cursor})).json()
        assert all(item["body"] == "" for item in page["items"])
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 6
    shown = [(await http.get(f"/dead-letters/{letter_id}")).json() for letter_id in seen]
    assert {(x["source"], x["type"], x["intact"]) for x in shown} == {
        ("commands", "attend_workflow", True),
        ("events", "", False),
    }
    assert all(x["body"] for x in shown)


async def test_a_dead_letter_is_redriven_or_discarded_once(api: Api, http: httpx.AsyncClient) -> None:
    await buried(api)
    first, second, third = [item["id"] for item in (await http.get("/dead-letters")).json()["items"]]
    redriven = (await http.post(f"/dead-letters/{first}/redrive")).json()
    assert (redriven["state"], redriven["decided_by"]) == ("redriven", "ada")
    assert (await http.post(f"/dead-letters/{second}/discard", json={})).json()["state"] == "discarded"
    for letter_id, state in ((first, "redriven"), (second, "discarded")):
        is_problem(await http.post(f"/dead-letters/{letter_id}/redrive"), 409, state)
    waiting = (await http.get("/dead-letters", params={"state": "waiting"})).json()
    assert [item["id"] for item in waiting["items"]] == [third]
    body = (await http.get(f"/dead-letters/{first}")).json()["body"]
    sent = [row for row in await api.journal.due(10, 60) if row.destination == "commands" and row.once]
    assert [row.body for row in sent] == [body]


async def test_what_is_not_intact_cannot_be_redriven(api: Api, http: httpx.AsyncClient) -> None:
    await api.journal.bury([Burial(source="events", queue_id="q", body="\0", cause="no")])
    [letter] = (await http.get("/dead-letters")).json()["items"]
    is_problem(await http.post(f"/dead-letters/{letter['id']}/redrive"), 409)
    assert (await http.post(f"/dead-letters/{letter['id']}/discard")).status_code == 200


async def test_a_dead_letter_that_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    for letter_id in ("none", "%00", "%ff", "'; DROP TABLE dead_letter; --"):
        for method, verb in (("GET", ""), ("POST", "/redrive"), ("POST", "/discard")):
            is_problem(await http.request(method, f"/dead-letters/{letter_id}{verb}"), 404, "there is no dead letter")


async def test_a_list_of_dead_letters_that_cannot_be_given_is_refused(http: httpx.AsyncClient) -> None:
    for query in ({"cursor": "x"}, {"cursor": cursor_of("2026-11-22T12:00:00+00:00 a\0")}):
        is_problem(await http.get("/dead-letters", params=query), 422, "is not a cursor of this list")
    for query in ({"state": "lost"}, {"limit": "0"}, {"limit": "201"}):
        is_problem(await http.get("/dead-letters", params=query), 400)


async def test_a_start_that_was_never_read_is_not_in_the_queue(api: Api, http: httpx.AsyncClient) -> None:
    await api.journal.bury([Burial(source="ci", queue_id="q", body=codec.encode(start()).decode(), cause="no")])
    assert (await http.get("/queue")).json()["waiting"] == 0
    assert (await http.get("/dead-letters")).json()["items"][0]["source"] == "ci"
