import itertools
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import Server

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


class Memory:
    """One actor and session of a memory that no other test uses."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.place = {
            "memoryId": f"memory{next(_numbers)}-abcdefghij",
            "actorId": "team/ada:tests",
            "sessionId": f"wf-{uuid.uuid4()}",
        }

    def create(self, second: float, *payload: Any, **more: Any) -> str:
        arguments = {**self.place, **more}
        at = BEGIN + timedelta(seconds=second)
        items = [{"blob": item} for item in payload or (second,)]
        event = self.client.create_event(eventTimestamp=at, payload=items, **arguments)["event"]
        return str(event["eventId"])

    def listed(self, **more: Any) -> Any:
        return self.client.list_events(**self.place, **more)

    def blobs(self, **more: Any) -> list[Any]:
        return [event["payload"][0]["blob"] for event in self.listed(**more)["events"]]

    def pages(self, size: int, between: Callable[[], Any] = lambda: None) -> list[str]:
        """The ids of all events, page by page."""
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = self.listed(maxResults=size, **token)
            found += [event["eventId"] for event in page["events"]]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}
            between()


@pytest.fixture
def memory(client: Any) -> Memory:
    return Memory(client)


def has(key: str, operator: str, value: str | None = None) -> dict[str, Any]:
    expression: dict[str, Any] = {"left": {"metadataKey": key}, "operator": operator}
    if value is not None:
        expression["right"] = {"metadataValue": {"stringValue": value}}
    return expression


def test_an_event_comes_back_as_it_was_created(client: Any, memory: Memory) -> None:
    payload = [
        {"conversational": {"content": {"text": "grüß Gott \u0000"}, "role": "USER"}},
        {"blob": {"nested": [1, 2.5, None, True]}},
        {"blob": "text"},
    ]
    at = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
    metadata = {"kind": {"stringValue": "checkpoint"}}
    created = client.create_event(**memory.place, eventTimestamp=at, payload=payload, metadata=metadata)
    event = created["event"]
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert "#" in event["eventId"]
    got = client.get_event(**memory.place, eventId=event["eventId"])["event"]
    assert got == event
    assert {name: got[name] for name in memory.place} == memory.place
    assert (got["payload"], got["metadata"]) == (payload, metadata)
    assert got["eventTimestamp"] == at


def test_events_are_listed_newest_first_and_the_last_created_of_one_time_before(memory: Memory) -> None:
    for second, blob in ((5, "late"), (1, "early"), (3, "tie-a"), (3, "tie-b")):
        memory.create(second, blob)
    assert memory.blobs() == ["late", "tie-b", "tie-a", "early"]


def test_payloads_can_be_left_out(memory: Memory) -> None:
    memory.create(1)
    assert memory.listed(includePayloads=False)["events"][0].get("payload", []) == []


def test_a_page_has_twenty_events_unless_asked(memory: Memory) -> None:
    for second in range(21):
        memory.create(second)
    page = memory.listed()
    assert len(page["events"]) == 20
    assert len(memory.listed(nextToken=page["nextToken"])["events"]) == 1


def test_pages_neither_lose_nor_repeat_events_while_others_come_and_go(memory: Memory) -> None:
    ids = [memory.create(second) for second in range(30)]
    doomed = iter(ids[29:9:-1])

    def disturb() -> None:
        memory.create(100)
        memory.create(-5)
        for _ in range(3):
            memory.client.delete_event(**memory.place, eventId=next(doomed))

    found = memory.pages(7, disturb)
    assert len(found) == len(set(found))
    assert set(ids[:10]) <= set(found)
    assert found == sorted(found, reverse=True)


def test_a_deleted_event_is_gone(client: Any, memory: Memory) -> None:
    event = memory.create(1)
    assert client.delete_event(**memory.place, eventId=event)["eventId"] == event
    for call in (client.get_event, client.delete_event):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call(**memory.place, eventId=event)
    assert memory.blobs() == []


def test_an_event_is_found_only_where_it_lies(client: Any, memory: Memory) -> None:
    event = memory.create(1)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_event(**{**memory.place, "actorId": "team/bob"}, eventId=event)


def test_metadata_filters_are_all_to_be_met(memory: Memory) -> None:
    memory.create(1, "plain")
    memory.create(2, "a", metadata={"kind": {"stringValue": "a"}, "x.y": {"stringValue": "1"}})
    memory.create(3, "b", metadata={"kind": {"stringValue": "b"}})

    def found(*expressions: dict[str, Any]) -> list[Any]:
        return memory.blobs(filter={"eventMetadata": list(expressions)})

    assert found(has("kind", "EQUALS_TO", "a")) == ["a"]
    assert found(has("kind", "EXISTS")) == ["b", "a"]
    assert found(has("kind", "NOT_EXISTS")) == ["plain"]
    assert found(has("kind", "EXISTS"), has("x.y", "NOT_EXISTS")) == ["b"]
    assert found(has("x.y", "EQUALS_TO", "1"), has("kind", "EQUALS_TO", "b")) == []


def test_filtered_pages_are_full(memory: Memory) -> None:
    for second in range(12):
        memory.create(second, metadata={"even": {"stringValue": "yes"}} if second % 2 == 0 else {})
    filter_ = {"eventMetadata": [has("even", "EXISTS")]}
    page = memory.listed(filter=filter_, maxResults=4)
    rest = memory.listed(filter=filter_, maxResults=4, nextToken=page["nextToken"])
    assert (len(page["events"]), len(rest["events"]), "nextToken" in rest) == (4, 2, False)


def test_a_branch_shows_its_events_and_on_request_what_it_grew_from(memory: Memory) -> None:
    memory.create(1, "root")
    fork = memory.create(2, "fork")
    memory.create(3, "main only")
    memory.create(4, "side", branch={"name": "side", "rootEventId": fork})
    twig = memory.create(5, "side again", branch={"name": "side"})
    memory.create(6, "twig", branch={"name": "twig", "rootEventId": twig})
    memory.create(7, "side late", branch={"name": "side"})
    assert memory.blobs(filter={"branch": {"name": "main"}}) == ["main only", "fork", "root"]
    assert memory.blobs(filter={"branch": {"name": "side"}}) == ["side late", "side again", "side"]
    whole = memory.blobs(filter={"branch": {"name": "twig", "includeParentBranches": True}})
    assert whole == ["twig", "side again", "side", "fork", "root"]
    assert len(memory.blobs()) == 7


def test_a_client_token_creates_one_event(client: Any, memory: Memory) -> None:
    token = uuid.uuid4().hex
    assert memory.create(1, "x", clientToken=token) == memory.create(1, "x", clientToken=token)
    assert memory.blobs() == ["x"]


def test_a_client_token_is_not_used_for_something_else(client: Any, memory: Memory) -> None:
    token = uuid.uuid4().hex
    memory.create(1, "x", clientToken=token)
    for reason, change in (
        ("IdempotentParameterMismatchException", {"metadata": {"a": {"stringValue": "b"}}}),
        ("EventInOtherSession", {"sessionId": "another"}),
    ):
        with pytest.raises(client.exceptions.ValidationException) as caught:
            memory.create(1, "x", clientToken=token, **change)
        assert caught.value.response["reason"] == reason


def test_sessions_and_actors_are_listed_page_by_page(client: Any, memory: Memory) -> None:
    for number in range(5):
        memory.create(1, sessionId=f"s{number}")
        memory.create(1, actorId=f"actor/{number}")
    place = {name: memory.place[name] for name in ("memoryId", "actorId")}
    pages = client.get_paginator("list_sessions").paginate(**place, PaginationConfig={"PageSize": 2})
    sessions = [item["sessionId"] for page in pages for item in page["sessionSummaries"]]
    assert sessions == [f"s{number}" for number in (4, 3, 2, 1, 0)]
    pages = client.get_paginator("list_actors").paginate(memoryId=place["memoryId"], PaginationConfig={"PageSize": 2})
    actors = [item["actorId"] for page in pages for item in page["actorSummaries"]]
    assert actors == [*(f"actor/{number}" for number in range(5)), place["actorId"]]


def test_a_session_without_events_stays_unless_filtered(client: Any, memory: Memory) -> None:
    client.delete_event(**memory.place, eventId=memory.create(1))
    place = {name: memory.place[name] for name in ("memoryId", "actorId")}
    assert len(client.list_sessions(**place)["sessionSummaries"]) == 1
    assert client.list_sessions(**place, filter={"eventFilter": "HAS_EVENTS"})["sessionSummaries"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"payload": [{"blob": 1}] * 101},
        {"payload": [{}]},
        {"payload": [{"blob": 1, "conversational": {"content": {"text": "x"}, "role": "USER"}}]},
        {"metadata": {str(number): {"stringValue": ""} for number in range(16)}},
        {"metadata": {"key": {"stringValue": "not; allowed"}}},
        {"sessionId": "-begins-wrong"},
        {"actorId": "no spaces"},
        {"memoryId": "no-such-shape-of-id"},
        {"branch": {"name": "side", "rootEventId": "12"}},
    ],
)
def test_what_the_service_model_forbids_is_refused(server: Server, wrong: dict[str, Any]) -> None:
    client = server.client(parameter_validation=False)
    good = {**Memory(client).place, "eventTimestamp": BEGIN, "payload": [{"blob": 1}]}
    with pytest.raises(client.exceptions.ValidationException):
        client.create_event(**{**good, **wrong})


@pytest.mark.parametrize("token", ["nonsense", "WzEsMl0", "WyJhIiwyXQ=="])
def test_a_token_that_was_not_given_is_refused(client: Any, memory: Memory, token: str) -> None:
    with pytest.raises(client.exceptions.ValidationException, match="nextToken"):
        memory.listed(nextToken=token)


def test_events_survive_a_kill_of_the_server(servers: Callable[..., Server]) -> None:
    server = servers()
    memory = Memory(server.client())
    for second in range(10):
        memory.create(second)
    page = memory.listed(maxResults=4)
    server.restart()
    rest = memory.listed(maxResults=100, nextToken=page["nextToken"])
    seen = [event["payload"][0]["blob"] for event in page["events"] + rest["events"]]
    assert seen == list(range(9, -1, -1))


def test_the_pace_of_a_session_can_be_bounded(servers: Callable[..., Server]) -> None:
    memory = Memory(servers(limits={"events_per_second": 0.01}).client())
    memory.create(1)
    memory.create(1, sessionId="another")
    with pytest.raises(memory.client.exceptions.ThrottledException):
        memory.create(2)


def test_only_configured_memories_exist(servers: Callable[..., Server]) -> None:
    memory = Memory(servers(memories=["other-abcdefghij"]).client())
    with pytest.raises(memory.client.exceptions.ResourceNotFoundException):
        memory.create(1)
    arn = "arn:aws:bedrock-agentcore:us-east-1:123456789012:memory/other-abcdefghij"
    memory.create(1, memoryId="other-abcdefghij")
    assert memory.client.list_events(**{**memory.place, "memoryId": arn})["events"]
