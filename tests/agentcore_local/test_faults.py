import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from .conftest import Server, alive, invoke, new_session, wait_until

MEMORY = "memory-abcdefghij"


def create(client: Any, session: str, token: str | None = None) -> Any:
    return client.create_event(
        memoryId=MEMORY,
        actorId="actor",
        sessionId=session,
        eventTimestamp=datetime(2026, 1, 1, tzinfo=UTC),
        payload=[{"blob": "x"}],
        **({"clientToken": token} if token else {}),
    )["event"]


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (402, "ServiceQuotaExceededException"),
        (409, "RetryableConflictException"),
        (424, "RuntimeClientError"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (504, "GatewayTimeoutException"),
    ],
)
def test_a_status_comes_with_its_error_type_and_performs_nothing(
    server: Server, client: Any, status: int, type_: str
) -> None:
    session = new_session()
    server.faults({"operation": "invoke", "status": status, "times": 1})
    with pytest.raises(ClientError) as caught:
        invoke(client, session)
    assert caught.value.response["Error"]["Code"] == type_
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert session not in server.sessions()
    assert invoke(client, session)["calls"] == 1


def test_memory_throttles_with_an_error_type_of_its_own(server: Server, client: Any) -> None:
    server.faults({"operation": "create_event", "status": 429})
    assert code(lambda: create(client, "some-session")) == "ThrottledException"


def test_a_rule_hits_only_its_sessions_and_spares_the_first_calls(server: Server, client: Any) -> None:
    server.faults({"operation": "create_event", "session": "hit-*", "skip": 1, "times": 1, "status": 500})
    create(client, "missed-1")
    create(client, "hit-1")
    assert code(lambda: create(client, "hit-1")) == "ServiceException"
    create(client, "hit-1")
    rules = server.request("GET", "/_faults")[2]["rules"]
    assert [(rule["matched"], rule["acted"]) for rule in rules] == [(3, 1)]


def test_the_same_seed_hits_the_same_calls(server: Server, client: Any) -> None:
    def hits(seed: int) -> list[bool]:
        server.faults({"operation": "list_actors", "probability": 0.5, "status": 500}, seed=seed)
        answers = [server.request("POST", f"/memories/{MEMORY}/actors", {})[0] for _ in range(20)]
        return [status == 500 for status in answers]

    first = hits(7)
    assert 0 < sum(first) < 20
    assert hits(7) == first
    assert hits(8) != first


def test_a_session_killed_before_the_call_has_not_seen_it(server: Server, client: Any) -> None:
    session = new_session()
    first = invoke(client, session)["pid"]
    server.faults({"operation": "invoke", "kill": "before", "times": 1})
    assert code(lambda: invoke(client, session)) == "RuntimeClientError"
    assert not alive(first)
    assert invoke(client, session)["calls"] == 1


def test_a_session_killed_during_the_call_fails_it(server: Server, client: Any) -> None:
    session = new_session()
    server.faults({"operation": "invoke", "kill": "during", "delay": 0.1, "times": 1})
    assert code(lambda: invoke(client, session, do="sleep", seconds=60)) == "RuntimeClientError"
    assert invoke(client, session)["calls"] == 1


def test_a_session_killed_after_the_call_has_answered(server: Server, client: Any) -> None:
    server.faults({"operation": "invoke", "kill": "after", "delay": 0.05, "times": 1})
    pid = invoke(client, new_session())["pid"]
    wait_until(lambda: not alive(pid))


def test_a_slow_start_delays_the_process_and_all_who_wait_for_it(server: Server, client: Any) -> None:
    session = new_session()
    server.faults({"operation": "invoke", "slow_start": 0.5, "times": 1})
    call = threading.Thread(target=invoke, args=(client, session))
    call.start()
    wait_until(lambda: server.sessions().get(session, {}).get("state") == "starting")
    assert invoke(client, session)["calls"] in (1, 2)
    call.join()


def test_a_dropped_answer_leaves_its_effect(server: Server, client: Any) -> None:
    session = new_session()
    server.faults({"operation": "create_event", "drop_after": True, "times": 1})
    with pytest.raises(HTTPClientError):
        create(client, session, token="the-token-of-this-one-event-0123456789" + session)
    again = create(client, session, token="the-token-of-this-one-event-0123456789" + session)
    events = client.list_events(memoryId=MEMORY, actorId="actor", sessionId=session)["events"]
    assert [event["eventId"] for event in events] == [again["eventId"]]


def test_a_dropped_invocation_was_performed(server: Server, client: Any) -> None:
    session = new_session()
    server.faults({"operation": "invoke", "drop_after": True, "times": 1})
    with pytest.raises(HTTPClientError):
        invoke(client, session)
    assert invoke(client, session)["calls"] == 2


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "invoke"},
        {"operation": "invoke", "status": 418},
        {"operation": "stop", "kill": "before"},
        {"operation": "invoke", "status": 500, "drop_after": True},
        {"operation": "invoke", "statsu": 500},
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused(server: Server, rule: dict[str, Any]) -> None:
    status, headers, _ = server.request("PUT", "/_faults", {"rules": [rule]})
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")


def test_rules_of_the_configuration_hold_from_the_start(servers: Callable[..., Server]) -> None:
    server = servers(faults={"seed": 1, "rules": [{"operation": "*", "status": 503, "times": 1}]})
    client = server.client()
    assert code(lambda: client.list_actors(memoryId=MEMORY)) == "ServiceUnavailableException"
    assert client.list_actors(memoryId=MEMORY)["actorSummaries"] == []
