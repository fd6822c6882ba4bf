"""What can never be handled ends where somebody sees it, with a cause, and stands in nobody's way."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.burial import burying
from amelia.consumer import Consumer, Handler
from amelia.contract import codec, signature
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import new_workflow_id
from amelia.domain.evolve import evolve
from amelia.ports.journal import DeadLetter, Source
from amelia_dispatcher.dispatch import Dispatcher
from amelia_router.route import Router

from ..inmemory import FixedKeys, MemoryQueue
from ..samples import Voice, eventually, order, started, stream

MASTER = b"master"


def signed(fields: dict[str, Any]) -> dict[str, Any]:
    key = signature.attempt_key(MASTER, str(fields.get("workflow_id")), int(fields.get("attempt") or 0))
    return {**fields, "signature": signature._digest(fields, key)}


def enveloped(fields: dict[str, Any], **outer: Any) -> str:
    return json.dumps({"detail-type": fields.get("type"), "detail": fields, **outer})


def said(event: Event) -> dict[str, Any]:
    return codec.decode_object(codec.encode(event))


def changed(**fields: Any) -> Callable[[str], str]:
    """An event of the workflow with a valid signature over what is wrong with it."""

    def poison(workflow_id: str) -> str:
        event = {"id": "p", "type": "agent_started", "agent": "x", "workflow_id": workflow_id, "attempt": 1, "fact": 9}
        wrong = {name: value for name, value in {**event, **fields}.items() if value is not ...}
        return enveloped(signed(wrong))

    return poison


def raw(body: str) -> Callable[[str], str]:
    return lambda workflow_id: body.replace("WF", workflow_id)


def twice(workflow_id: str) -> str:
    """Two of a key: whichever counts, the signature is over the other one."""
    event = enveloped(signed(said(Voice(workflow_id).progress())))
    return event.replace('"content": ', '"content": "something else", "content": "and else", "x": ', 1)


DEEP = "[" * 5_000 + "]" * 5_000
EVENTS: dict[str, Callable[[str], str]] = {
    "a blank": raw(" "),
    "not JSON": raw("{'detail': 1}"),
    "cut in the middle": raw('{"detail-type":"agent_started","detail":{"type":"agent_st'),
    "a number": raw("7"),
    "null": raw("null"),
    "an array": raw("[]"),
    "no detail": raw("{}"),
    "a detail that is no object": raw('{"detail-type":"x","detail":"x"}'),
    "another detail-type": lambda w: enveloped(signed(said(Voice(w).progress())), **{"detail-type": "x"}),
    "5,000 deep": raw('{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":1,"a":' + DEEP + "}}"),
    "500 deep below a signature": raw(
        '{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":1,"signature":"s","a":'
        + "[" * 500
        + "]" * 500
        + "}}"
    ),
    "a lone surrogate, escaped": raw('{"detail-type":"x","detail":{"type":"x","id":"\\ud800","workflow_id":"WF"}}'),
    "a lone surrogate, raw": raw('{"detail-type":"x","detail":{"type":"x","id":"\ud800","workflow_id":"WF"}}'),
    "a NUL, raw": raw('{"detail-type":"x","detail":{"type":"x","id":"\0","workflow_id":"WF"}}'),
    "1e999": raw('{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":1e999}}'),
    "NaN": raw('{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":NaN}}'),
    "a fraction, which is not signed": raw(
        '{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":1,"signature":"s","a":1.5}}'
    ),
    "an int of 5,000 digits": raw(
        '{"detail-type":"x","detail":{"type":"x","workflow_id":"WF","attempt":' + "9" * 5_000 + "}}"
    ),
    "an attempt beyond its column": changed(attempt=2**31),
    "a fact beyond its column": changed(fact=2**40),
    "a negative fact": changed(fact=-1),
    "a key twice": twice,
    "a type that is a list": changed(type=["agent_started"]),
    "no type": changed(type=...),
    "no id": changed(id=...),
    "no workflow": changed(workflow_id=...),
    "no such workflow": changed(workflow_id="wf-none"),
    "a workflow with a NUL in its name": changed(workflow_id="wf-\0"),
    "no attempt": changed(attempt=...),
    "an attempt that is text": changed(attempt="1"),
    "a known type without its fields": changed(agent=...),
    "a known type with fields of another kind": changed(agent=7),
    "the control plane's word": changed(type="workflow_cancelled"),
    "a sequence": changed(sequence=1),
    "not signed": lambda w: enveloped(said(Voice(w).progress())),
    "signed with another attempt's key": lambda w: enveloped(
        {**signed(said(Voice(w, attempt=2).progress())), "attempt": 1}
    ),
}
KEPT: dict[str, Callable[[str], str]] = {
    "an unknown type": changed(type="agent_dreamt", of="sheep", fact=2),
    "a newer version": changed(version=99, mood="good", fact=2),
    "a NUL, escaped": changed(type="agent_dreamt", id="i\0d", fact=2),
}
COMMANDS: dict[str, str] = {
    "not JSON": "start!",
    "5,000 deep": '{"type":"cancel_workflow","reason":' + DEEP + "}",
    "an unknown type": '{"type":"sell_workflow","id":"1","workflow_id":"WF","actor":"ada"}',
    "an unknown field": '{"type":"cancel_workflow","id":"1","workflow_id":"WF","actor":"ada","force":true}',
    "a known type without its fields": '{"type":"cancel_workflow"}',
    "an int of 5,000 digits": '{"type":"cancel_workflow","id":"1","workflow_id":"WF","version":' + "9" * 5_000 + "}",
    "no such workflow": '{"type":"attend_workflow","id":"1","workflow_id":"wf-none","actor":"ada"}',
    "a NUL in the workflow's name": '{"type":"attend_workflow","id":"1","workflow_id":"wf-\\u0000","actor":"ada"}',
    "a lone surrogate": '{"type":"cancel_workflow","id":"\\udfff","workflow_id":"WF","actor":"ada"}',
}


async def consumed(journal: PostgresJournal, handle: Handler, source: Source, *bodies: str) -> MemoryQueue:
    """Everything is acknowledged in the end."""
    queue, stop = MemoryQueue(), asyncio.Event()
    queue.put(*bodies)
    consumer = Consumer(queue, handle, in_flight=1, max_receives=3, bury=burying(journal, source))
    task = asyncio.create_task(consumer.run(stop))

    async def settled() -> bool:
        return len(queue.done) == len(bodies)

    await eventually(settled, "everything is acknowledged")
    stop.set()
    await task
    return queue


async def letters(journal: PostgresJournal) -> list[DeadLetter]:
    found = [await journal.dead_letter(x.id) for x in await journal.dead_letters(limit=50)]
    return [x for x in found if x is not None]


async def test_every_event_that_is_none_becomes_a_dead_letter_with_its_cause(journal: PostgresJournal) -> None:
    """All in the same batches, between good ones of the same workflow."""
    row = await started(journal)
    voice, w = Voice(row.workflow.id), row.workflow.id
    poison = {name: make(w) for name, make in EVENTS.items()}
    bodies = []
    for body in poison.values():
        bodies += [body, enveloped(signed(said(voice.progress())))]
    router = Router(journal, FixedKeys(MASTER))
    queue = await consumed(journal, router.handle, "events", *bodies)
    assert queue.dead == []
    buried = {x.id: x for x in await letters(journal)}
    assert len(buried) == len(poison)
    assert all(x.cause and x.state == "waiting" and x.source == "events" for x in buried.values())
    intact = {x.body for x in buried.values() if x.intact}
    assert intact == {body for name, body in poison.items() if not name.endswith(", raw")}
    shown = [event for _, event in await stream(journal, w)]
    assert [event.ordinal for event in shown if event.ordinal] == list(range(1, len(poison) + 1))


@pytest.mark.parametrize("name", KEPT)
async def test_what_a_newer_runtime_says_is_kept_as_it_came(journal: PostgresJournal, name: str) -> None:
    row = await started(journal)
    voice, w = Voice(row.workflow.id), row.workflow.id
    bodies = [enveloped(signed(said(voice.fact()))), KEPT[name](w)]
    await consumed(journal, Router(journal, FixedKeys(MASTER)).handle, "events", *bodies)
    assert await letters(journal) == []
    [_, stored] = await journal.events({w: 2}, 10)
    assert json.loads(stored.body) == json.loads(bodies[1])["detail"]


async def test_every_command_that_is_none_becomes_a_dead_letter_and_the_others_are_carried_out(
    journal: PostgresJournal,
) -> None:
    row = await started(journal)
    nobody: Any = None
    dispatcher = Dispatcher(journal, *[nobody] * 4)
    looked: list[str] = []

    async def act(command: c.AnyCommand) -> None:
        looked.append(command.id)

    dispatcher.act = act  # type: ignore[method-assign]
    good = [order(c.CancelWorkflow, row.workflow.id) for _ in COMMANDS]
    bodies = []
    for command, body in zip(good, COMMANDS.values(), strict=True):
        bodies += [body.replace("WF", row.workflow.id), codec.encode(command).decode()]
    await consumed(journal, dispatcher.handle, "commands", *bodies)

    async def acted() -> bool:
        return sorted(looked) == sorted(command.id for command in good)

    await eventually(acted, "the good ones are carried out")
    assert len(await letters(journal)) == len(COMMANDS)


async def test_one_event_that_breaks_the_fold_hurts_no_other_of_its_workflow(
    journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(w: Any, event: Event) -> Any:
        if isinstance(event, e.AgentMessage) and event.content == "poison":
            raise RecursionError("a bug")
        return evolve(w, event)

    monkeypatch.setattr("amelia.domain.intake.evolve", breaks)
    row = await started(journal)
    voice = Voice(row.workflow.id)
    events = [voice.fact(), voice.fact(), voice.progress("poison"), voice.fact()]
    bodies = [enveloped(signed(said(event))) for event in events]
    await consumed(journal, Router(journal, FixedKeys(MASTER)).handle, "events", *bodies)
    [letter] = await letters(journal)
    assert "RecursionError" in letter.cause
    shown = [event.fact for _, event in await stream(journal, row.workflow.id) if event.fact]
    assert shown == [1, 2, 3]


def test_there_are_enough_of_them() -> None:
    assert len(EVENTS) + len(KEPT) + len(COMMANDS) >= 40
    assert len({msgspec.json.encode(make(new_workflow_id()).encode("utf-8", "replace")) for make in EVENTS.values()})
