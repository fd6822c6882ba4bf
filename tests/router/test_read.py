"""What the router believes, and of whom."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import codec, signature
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.errors import Malformed
from amelia.ports.queues import Message
from amelia_router.route import Router, read

from ..inmemory import FixedKeys
from ..samples import CONTROL_TYPES, EVENT_TYPES, Voice, blocked, started, stream, the, variants
from ..unit.test_contract import HOSTILE, JSON, NEARLY

MASTER, OLD = b"master of today", b"master of yesterday"
WF = "wf-6f2f7a52-3f0c-4d0b-9d7e-0a4c6a1e2d11"


def enveloped(event: Event, master: bytes = MASTER, **changed: Any) -> dict[str, Any]:
    """As EventBridge hands it to a queue."""
    signed = signature.sign(event, signature.attempt_key(master, event.workflow_id, event.attempt))
    detail = codec.decode_object(codec.encode(signed))
    return {
        "version": "0",
        "detail-type": codec.type_of(event),
        "source": "amelia.runtime",
        "detail": detail,
        **changed,
    }


def message(body: object, number: int = 1) -> Message:
    return Message(id=str(number), body=body if isinstance(body, str) else json.dumps(body), receipt=str(number))


@pytest.mark.parametrize("kind", [kind for kind in EVENT_TYPES if kind not in CONTROL_TYPES])
def test_what_a_runtime_may_say_is_read_as_it_was_said(kind: type[Event]) -> None:
    for event in variants(kind, WF, attempt=1):
        came = read(json.dumps(enveloped(event)), [MASTER])
        assert codec.type_of(came.event) == codec.type_of(event)
        assert codec.decode_event(came.body) == came.event


@pytest.mark.parametrize("kind", CONTROL_TYPES)
def test_a_runtime_may_not_say_what_the_control_plane_says(kind: type[Event]) -> None:
    for event in variants(kind, WF, attempt=1):
        with pytest.raises(Malformed, match="a runtime may not say"):
            read(json.dumps(enveloped(event)), [MASTER])


def test_keys_of_yesterday_are_honoured_and_unknown_ones_are_not() -> None:
    event = Voice(WF).progress()
    assert read(json.dumps(enveloped(event, OLD)), [MASTER, OLD]).event.ordinal == 1
    with pytest.raises(Malformed, match="is not that attempt's"):
        read(json.dumps(enveloped(event, b"guessed")), [MASTER, OLD])


def test_an_event_of_one_attempt_signed_with_another_s_key_is_refused() -> None:
    event = Voice(WF, attempt=2).progress()
    signed = signature.sign(event, signature.attempt_key(MASTER, WF, 1))
    body = {"detail-type": "agent_message", "detail": codec.decode_object(codec.encode(signed))}
    with pytest.raises(Malformed, match="is not that attempt's"):
        read(json.dumps(body), [MASTER])


def test_a_runtime_may_not_number_the_stream() -> None:
    """The journal writes its sequence beside the fields of the event; a second one would contradict it."""
    detail = {"type": "agent_dreamt", "id": "1", "workflow_id": WF, "attempt": 1, "fact": 1, "sequence": 99}
    detail["signature"] = signature._digest(detail, signature.attempt_key(MASTER, WF, 1))
    with pytest.raises(Malformed, match="sequence"):
        read(json.dumps({"detail-type": "agent_dreamt", "detail": detail}), [MASTER])


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {**body, "detail": {k: v for k, v in body["detail"].items() if k != name}}


GOOD = enveloped(Voice(WF).progress())
BAD: dict[str, object] = {
    **{name: body.decode("latin-1") for name, body in HOSTILE.items()},
    **{f"inside: {name}": f'{{"detail-type":"new","detail":{b.decode("latin-1")}}}' for name, b in HOSTILE.items()},
    "no detail": {"detail-type": "agent_message"},
    "detail null": {**GOOD, "detail": None},
    "detail a string": {**GOOD, "detail": json.dumps(GOOD["detail"])},
    "another detail-type": {**GOOD, "detail-type": "agent_started"},
    "no detail-type": {k: v for k, v in GOOD.items() if k != "detail-type"},
    "type a list": {"detail-type": [], "detail": {**GOOD["detail"], "type": []}},
    "type an object": {"detail-type": {}, "detail": {**GOOD["detail"], "type": {}}},
    "no type": {"detail": {"workflow_id": WF, "attempt": 1}},
    "unsigned": _without(GOOD, "signature"),
    "no attempt": _without(GOOD, "attempt"),
    "attempt true": {**GOOD, "detail": {**GOOD["detail"], "attempt": True}},
    "no workflow": _without(GOOD, "workflow_id"),
    "a float": {**GOOD, "detail": {**GOOD["detail"], "attempt": 1, "more": 0.5}},
    "an integer that was not signed": {**GOOD, "detail": {**GOOD["detail"], "more": 2**64}},
    "cut": json.dumps(GOOD)[:-7],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_runtime_s_own_event_is_malformed_and_nothing_else(name: str) -> None:
    body = BAD[name]
    with pytest.raises(Malformed):
        read(body if isinstance(body, str) else json.dumps(body), [MASTER])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | JSON.map(json.dumps) | st.tuples(NEARLY, JSON).map(lambda x: json.dumps(wrapped(*x))))
def test_random_bodies_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read(body, [MASTER])


def wrapped(detail: dict[str, Any], outer: object) -> object:
    return {"detail-type": detail.get("type"), "detail": {"workflow_id": WF, "attempt": 1, **detail}, "more": outer}


def router(journal: PostgresJournal) -> Router:
    return Router(journal, FixedKeys(MASTER, OLD))


async def handled(journal: PostgresJournal, bodies: Sequence[object]) -> list[str]:
    return [x.kind for x in await router(journal).handle([message(body, i) for i, body in enumerate(bodies)])]


async def test_a_batch_is_taken_and_what_is_not_ours_in_it_becomes_a_dead_letter(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    good = [enveloped(voice.fact()), enveloped(voice.progress())]
    elsewhere = enveloped(Voice(WF).progress())
    assert await handled(journal, [good[0], "{", good[1], elsewhere, good[1]]) == [
        "done",
        "dead",
        "done",
        "dead",
        "done",
    ]
    assert [n for n, _ in await stream(journal, row.workflow.id)] == [1, 2, 3, 4]


async def test_a_runtime_cannot_approve_itself(journal: PostgresJournal) -> None:
    row, voice = await blocked(journal)
    block = row.workflow.block
    assert block is not None
    approval = e.WorkflowApproved(
        id="1",
        workflow_id=row.workflow.id,
        attempt=1,
        fact=voice.last_fact + 1,
        block_id=block.event_id,
        plan_sha256=block.plan_sha256,
        approved_by="ada",
    )
    assert await handled(journal, [enveloped(approval)]) == ["dead"]
    assert (await the(journal, row.workflow.id)).workflow.status == "blocked"


async def test_fields_this_version_does_not_know_are_kept(journal: PostgresJournal) -> None:
    row = await started(journal)
    detail = {
        "type": "agent_dreamt",
        "id": "1",
        "workflow_id": row.workflow.id,
        "attempt": 1,
        "fact": 1,
        "of": ["sheep"],
    }
    key = signature.attempt_key(MASTER, row.workflow.id, 1)
    body = {"detail-type": "agent_dreamt", "detail": {**detail, "signature": signature._digest(detail, key)}}
    assert await handled(journal, [body]) == ["done"]
    [stored] = await journal.events({row.workflow.id: 2}, 10)
    assert json.loads(stored.body)["of"] == ["sheep"]
