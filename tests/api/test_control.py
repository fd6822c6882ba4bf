"""Orders to a workflow on its way: what each does, what is refused, and that a repeat is answered as it was."""

import asyncio
from typing import Any

import httpx
import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.workflow import Budget
from amelia_api import orders

from ..samples import HASH, Voice, arrived, blocked, order, started, the
from .conftest import BODY, Api
from .test_requests import is_problem


async def cancelled(api: Api) -> str:
    row = await started(api.journal)
    await api.journal.execute(order(c.CancelWorkflow, row.workflow.id))
    return row.workflow.id


# What each does


async def test_a_start_takes_a_priority_and_a_budget(http: httpx.AsyncClient) -> None:
    budget = {"microdollars": 2_000_000, "tokens": 9}
    view = (await http.post("/workflows", json={**BODY, "priority": 7, "budget": budget})).json()
    assert (view["priority"], view["budget"]) == (7, budget)
    for wrong in ({"priority": 101}, {"budget": {"microdollars": -1}}, {"budget": {"dollars": 1}}, {"budget": None}):
        is_problem(await http.post("/workflows", json={**BODY, **wrong}), 400)


async def test_a_pause_ends_with_a_resumption_and_needs_no_body(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    path = f"/workflows/{row.workflow.id}"
    paused = await http.post(f"{path}/pause")
    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    again = (await http.post(f"{path}/pause", json={"reason": "twice"})).json()
    assert again["sequence"] == paused.json()["sequence"]
    resumed = (await http.post(f"{path}/resume", json={"budget": {"microdollars": 5}})).json()
    assert (resumed["status"], resumed["budget"]) == ("pending", {"microdollars": 5})


async def test_a_retry_goes_on_or_begins_anew(api: Api, http: httpx.AsyncClient) -> None:
    for body, generation in ((None, 0), ({}, 0), ({"start": True}, 1)):
        workflow_id = await cancelled(api)
        answer = await http.post(f"/workflows/{workflow_id}/retry", json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        assert (await the(api.journal, workflow_id)).workflow.generation == generation


async def test_messages_wait_until_they_are_read(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    path = f"/workflows/{row.workflow.id}/messages"
    for text in ("one", "two\0 \U0001f600"):
        answer = await http.post(path, json={"text": text})
        assert answer.status_code == 202
    notes = answer.json()["messages"]
    assert [(note["text"], note["by"]) for note in notes] == [("one", "ada"), ("two\0 \U0001f600", "ada")]
    voice = Voice(row.workflow.id)
    await api.journal.append(arrived(voice.fact(e.MessageApplied, message_id=notes[0]["id"])))
    shown = (await http.get(f"/workflows/{row.workflow.id}")).json()
    assert [note["text"] for note in shown["messages"]] == ["two\0 \U0001f600"]


# What is refused


async def test_what_a_state_does_not_allow_is_a_conflict_that_names_it(api: Api, http: httpx.AsyncClient) -> None:
    working = (await started(api.journal)).workflow.id
    waiting = (await blocked(api.journal))[0].workflow.id
    ended = await cancelled(api)
    for workflow_id, verb, body, said in (
        (working, "retry", {}, "is in_progress; only failed and cancelled workflows can be retried"),
        (working, "revise", {"feedback": "x"}, "is in_progress; only blocked workflows can be revised"),
        (waiting, "pause", {}, "is blocked, and nothing of it runs"),
        (waiting, "resume", {}, "is blocked; only paused ones can be resumed"),
        (waiting, "retry", {}, "is blocked; only failed"),
        (ended, "pause", {}, "is cancelled; only workflows that have not ended"),
        (ended, "resume", {}, "is cancelled; retry it instead"),
        (ended, "resume", {"budget": {"tokens": 5}}, "is cancelled; retry it instead"),
        (ended, "messages", {"text": "x"}, "is cancelled, and no agent works on it"),
        (ended, "revise", {"feedback": "x"}, "is cancelled"),
    ):
        is_problem(await http.post(f"/workflows/{workflow_id}/{verb}", json=body), 409, said)


UNFIT: list[tuple[str, Any]] = [
    ("revise", {}),
    ("revise", {"feedback": ""}),
    ("revise", {"feedback": None}),
    ("revise", {"feedback": "x" * 20_001}),
    ("messages", {}),
    ("messages", {"text": ""}),
    ("messages", {"text": ["x"]}),
    ("messages", {"text": "x" * 20_001}),
    ("pause", {"reason": 7}),
    ("pause", {"reason": "x" * 2_001}),
    ("pause", []),
    ("resume", {"budget": 5}),
    ("resume", {"budget": {"tokens": 10**13}}),
    ("resume", {"budget": {"tokens": 1.5}}),
    ("retry", {"start": "yes"}),
    ("retry", {"from": "start"}),
    ("approve", {"tasks": "round"}),
    ("approve", {"tasks": [1]}),
    ("approve", "x"),
    ("reject", {"nonsense": 1}),
]


async def test_a_body_that_does_not_fit_is_a_bad_request(api: Api, http: httpx.AsyncClient) -> None:
    row, _ = await blocked(api.journal)
    for verb, body in UNFIT:
        is_problem(await http.post(f"/workflows/{row.workflow.id}/{verb}", json=body), 400)
    for verb in ("approve", "reject", "revise", "pause", "resume", "retry", "messages"):
        path = f"/workflows/{row.workflow.id}/{verb}"
        is_problem(await http.post(path, content=b"{", headers={"content-type": "application/json"}), 400)
        is_problem(await http.post(path, json={"feedback": "x" * 60_000}), 413, "too large")
    assert (await the(api.journal, row.workflow.id)).workflow.sequence == row.workflow.sequence


@pytest.mark.parametrize(("verb", "body"), [("revise", {"feedback": " \n"}), ("messages", {"text": "\t"})])
async def test_a_text_of_nothing_but_space_is_refused(
    api: Api, http: httpx.AsyncClient, verb: str, body: dict[str, str]
) -> None:
    row, _ = await blocked(api.journal)
    is_problem(await http.post(f"/workflows/{row.workflow.id}/{verb}", json=body), 422, "is empty; say what")


# Repeats


async def test_every_verb_is_answered_as_it_was_when_it_is_repeated(api: Api, http: httpx.AsyncClient) -> None:
    """Also when the workflow has gone on since."""

    async def working() -> str:
        return (await started(api.journal)).workflow.id

    async def paused() -> str:
        workflow_id = await working()
        await api.journal.execute(order(c.PauseWorkflow, workflow_id))
        return workflow_id

    async def waiting() -> str:
        return (await blocked(api.journal))[0].workflow.id

    for before, method, verb, body in (
        (waiting, "POST", "/approve", {"plan_sha256": HASH}),
        (waiting, "POST", "/reject", {"feedback": "no"}),
        (waiting, "POST", "/revise", {"feedback": "smaller"}),
        (working, "POST", "/pause", {"reason": "r"}),
        (working, "POST", "/messages", {"text": "t"}),
        (paused, "POST", "/resume", {"budget": {"tokens": 5}}),
        (lambda: cancelled(api), "POST", "/retry", {"start": True}),
        (working, "DELETE", "", None),
    ):
        workflow_id = await before()
        path, key = f"/workflows/{workflow_id}{verb}", {"Idempotency-Key": "k"}
        first = await http.request(method, path, json=body, headers=key)
        assert first.status_code in (200, 202), first.text
        assert "idempotency-replayed" not in first.headers
        ended = order(c.CancelWorkflow if verb != "/reject" else c.RetryWorkflow, workflow_id)
        await api.journal.execute(ended)
        again = await http.request(method, path, json=body, headers=key)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        other = {"params": {"reason": "other"}} if method == "DELETE" else {"json": {**(body or {}), **OTHER[verb]}}
        is_problem(await http.request(method, path, headers=key, **other), 422, "use a new key")


OTHER: dict[str, dict[str, Any]] = {
    "/approve": {"block_id": "b"},
    "/reject": {"feedback": "yes"},
    "/revise": {"feedback": "larger"},
    "/pause": {"reason": "s"},
    "/messages": {"text": "u"},
    "/resume": {"budget": {"tokens": 6}},
    "/retry": {"start": False},
}


async def test_a_repeated_start_is_answered_with_its_whole_issue(api: Api, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "once"}
    body = {**BODY, "issue": {"id": "i", "title": "t", "body": "long"}}
    first = await http.post("/workflows", json=body, headers=key)
    await http.delete(f"/workflows/{first.json()['id']}")
    again = await http.post("/workflows", json=body, headers=key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert again.json()["issue"]["body"] == "long"


async def test_many_orders_at_once_under_one_key_are_one(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    path, key = f"/workflows/{row.workflow.id}/messages", {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(http.post(path, json={"text": "t"}, headers=key) for _ in range(12)))
    assert len({answer.text for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, *[True] * 11]
    assert len((await the(api.journal, row.workflow.id)).workflow.messages) == 1


async def test_one_key_for_two_workflows_is_two_orders(api: Api, http: httpx.AsyncClient) -> None:
    for _ in range(2):
        row = await started(api.journal)
        answer = await http.post(f"/workflows/{row.workflow.id}/pause", headers={"Idempotency-Key": "k"})
        assert (answer.json()["status"], "idempotency-replayed" in answer.headers) == ("paused", False)


# Beside a delivery


async def test_while_it_is_delivered_a_cancel_and_a_pause_ask_for_patience(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "DELIVERY_SECONDS", 0.05)
    row = await started(api.journal)
    path = f"/workflows/{row.workflow.id}"
    async with api.journal.exclusively(f"delivery/{row.workflow.id}") as mine:
        assert mine
        for asking in (http.delete(path), http.post(f"{path}/pause")):
            answer = await asking
            is_problem(answer, 503, "is being delivered at this moment; try again")
            assert int(answer.headers["retry-after"]) > 0
        assert (await http.post(f"{path}/messages", json={"text": "x"})).status_code == 202
        assert (await the(api.journal, row.workflow.id)).workflow.status == "in_progress"
    assert (await http.delete(path)).json()["status"] == "cancelled"


async def test_a_cancel_takes_effect_when_the_delivery_it_waited_for_is_over(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    async with api.journal.exclusively(f"delivery/{row.workflow.id}"):
        asking = asyncio.create_task(http.delete(f"/workflows/{row.workflow.id}"))
        await http.get("/health/live")
        assert not asking.done()
    assert (await asking).json()["status"] == "cancelled"


async def test_a_budget_alone_may_be_changed_while_it_runs(api: Api, http: httpx.AsyncClient) -> None:
    row = await started(api.journal)
    answer = await http.post(f"/workflows/{row.workflow.id}/resume", json={"budget": {"tokens": 5}})
    assert answer.json()["status"] == "in_progress"
    assert (await the(api.journal, row.workflow.id)).workflow.budget == Budget(tokens=5)
