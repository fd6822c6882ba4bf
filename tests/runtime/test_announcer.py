import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from amelia.contract.events import AgentMessage, AgentStarted
from amelia.contract.invocation import Invocation
from amelia.contract.signature import verify
from amelia.errors import Refused, Unavailable
from amelia_runtime.announcer import BATCH, REFUSALS, BusAnnouncer

Asked = Callable[..., Invocation]


def fact(asked: Invocation, number: int) -> AgentStarted:
    return AgentStarted(
        id=f"f-{number}", workflow_id=asked.workflow_id, fact=number, agent="architect", timestamp=f"then-{number}"
    )


def word(asked: Invocation, content: str) -> AgentMessage:
    return AgentMessage(id=f"p-{content}", workflow_id=asked.workflow_id, agent="architect", content=content)


@asynccontextmanager
async def announcing(post: Any, asked: Invocation, **options: Any) -> AsyncIterator[BusAnnouncer]:
    announcer = BusAnnouncer(post, asked, pauses=(0.001,), **options)
    announcer.start()
    try:
        yield announcer
    finally:
        await announcer.close()


async def until(true: Callable[[], Any]) -> None:
    while not true():
        await asyncio.sleep(0.002)


async def test_a_fact_is_stamped_with_the_attempt_and_keeps_its_own_time(post: Any, asked: Asked) -> None:
    invocation = asked(3, correlation_id="corr", traceparent="trace")
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, 1)])
        await announcer.drained()
    [said] = post.said("agent_started")
    assert said["attempt"] == 3
    assert said["timestamp"] == "then-1"
    assert said["correlation_id"] == "corr"
    assert said["causation_id"] == invocation.command_id
    assert said["traceparent"] == "trace"


async def test_a_signature_holds_when_the_bus_rewrites_the_bytes(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, 1)])
        announcer.progress(word(invocation, "schön, 日本"))
        await announcer.drained()
        await until(lambda: post.said("runtime_heartbeat"))
    key = bytes.fromhex(invocation.signing_key)
    for event in post.taken:
        rewritten = json.dumps(dict(reversed(event.items())), indent=3, ensure_ascii=True)
        assert verify(json.loads(rewritten), key)
        assert not verify(json.loads(rewritten) | {"attempt": 2}, key)


async def test_facts_and_progress_leave_in_the_order_they_were_said(post: Any, asked: Asked) -> None:
    invocation = asked(1, highest_ordinal=7)
    async with announcing(post, invocation) as announcer:
        announcer.progress(word(invocation, "a"))
        await announcer.facts([fact(invocation, 1), fact(invocation, 2)])
        announcer.progress(word(invocation, "b"))
        announcer.progress(word(invocation, "c"))
        await announcer.drained()
    said = [
        (e.get("fact"), e.get("ordinal"), e.get("last_fact", 0)) for e in post.said("agent_started", "agent_message")
    ]
    assert said == [(None, 8, 0), (1, None, 0), (2, None, 0), (None, 9, 2), (None, 10, 2)]


async def test_what_is_queued_goes_in_batches(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    announcer = BusAnnouncer(post, invocation)
    await announcer.facts([fact(invocation, n) for n in range(1, 26)])
    announcer.start()
    await announcer.drained()
    await announcer.close()
    assert [size for size in post.batches if size > 1] == [BATCH, BATCH, 5]
    assert post.facts == list(range(1, 26))


async def test_nothing_is_lost_while_the_bus_is_away(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    post.away = Unavailable("the bus is away")
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, 1)])
        announcer.progress(word(invocation, "a"))
        await until(lambda: post.tried > 5)
        assert post.taken == []
        await announcer.facts([fact(invocation, 2)])
        post.away = None
        await announcer.drained()
    assert post.facts == [1, 2]
    assert [event["ordinal"] for event in post.said("agent_message")] == [1]


async def test_too_much_progress_loses_the_oldest_and_leaves_no_hole(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    announcer = BusAnnouncer(post, invocation, room=3)
    await announcer.facts([fact(invocation, 1)])
    for content in "abcde":
        announcer.progress(word(invocation, content))
    announcer.start()
    await announcer.drained()
    await announcer.close()
    assert post.facts == [1]
    assert [(e["ordinal"], e["content"]) for e in post.said("agent_message")] == [(1, "c"), (2, "d"), (3, "e")]


async def test_the_same_facts_handed_in_again_are_said_once(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, 1), fact(invocation, 2)])
        await announcer.facts([fact(invocation, 1), fact(invocation, 2), fact(invocation, 3)])
        await announcer.drained()
    assert post.facts == [1, 2, 3]


async def test_facts_above_a_number_are_repeated_as_they_were(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, n) for n in (1, 2, 3)])
        await announcer.drained()
        announcer.repeat(1)
        await announcer.drained()
    assert post.facts == [1, 2, 3, 2, 3]
    two = [body for body in post.bodies if b'"f-2"' in body]
    assert two[0] == two[1]


async def test_a_heartbeat_comes_first_and_names_what_the_bus_has_taken(post: Any, asked: Asked) -> None:
    invocation = asked(1, highest_fact=4, highest_ordinal=9, heartbeat_seconds=0)
    async with announcing(post, invocation) as announcer:
        await until(lambda: post.taken)
        assert (post.taken[0]["last_fact"], post.taken[0]["last_ordinal"]) == (4, 9)
        await announcer.facts([fact(invocation, 5)])
        announcer.progress(word(invocation, "a"))
        await announcer.drained()
        await until(lambda: post.taken[-1].get("last_ordinal") == 10)
    assert post.taken[-1]["type"] == "runtime_heartbeat"
    assert post.taken[-1]["last_fact"] == 5
    assert len({event["id"] for event in post.said("runtime_heartbeat")}) == len(post.said("runtime_heartbeat"))


async def test_a_stuck_batch_does_not_stop_the_heartbeats(asked: Asked) -> None:
    invocation = asked(1, heartbeat_seconds=0)
    beats = 0

    class Stuck:
        async def publish(self, messages: Any) -> None:
            nonlocal beats
            if messages[0].type != "runtime_heartbeat":
                await asyncio.Event().wait()
            beats += 1

    async with announcing(Stuck(), invocation) as announcer:
        await announcer.facts([fact(invocation, 1)])
        await until(lambda: beats > 3)


async def test_at_rest_there_are_no_heartbeats_until_it_starts_again(post: Any, asked: Asked) -> None:
    async with announcing(post, asked(1, heartbeat_seconds=0)) as announcer:
        await until(lambda: post.taken)
        announcer.rest()
        await asyncio.sleep(0)
        before = len(post.taken)
        await asyncio.sleep(0.15)
        assert len(post.taken) == before
        announcer.start()
        await until(lambda: len(post.taken) > before)


async def test_refused_progress_is_dropped_and_the_rest_arrives(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    post.refused = frozenset({"agent_message"})
    announcer = BusAnnouncer(post, invocation, pauses=(0.001,))
    await announcer.facts([fact(invocation, 1)])
    announcer.progress(word(invocation, "too much"))
    await announcer.facts([fact(invocation, 2)])
    announcer.start()
    await announcer.drained()
    await announcer.close()
    assert post.facts == [1, 2]


async def test_a_fact_refused_for_good_is_said_by_draining_and_tried_again_by_starting(post: Any, asked: Asked) -> None:
    invocation = asked(1)
    post.refused = frozenset({"agent_started"})
    async with announcing(post, invocation) as announcer:
        await announcer.facts([fact(invocation, 1), fact(invocation, 2)])
        with pytest.raises(Refused, match="does not take"):
            await announcer.drained()
        assert post.tried >= REFUSALS
        post.refused = frozenset()
        announcer.start()
        await announcer.drained()
    assert post.facts == [1, 2]


async def test_nothing_leaves_after_closing(post: Any, asked: Asked) -> None:
    invocation = asked(1, heartbeat_seconds=0)
    announcer = BusAnnouncer(post, invocation)
    announcer.start()
    post.held.clear()
    await announcer.facts([fact(invocation, n) for n in range(1, 40)])
    await until(lambda: post.tried)
    await announcer.close()
    post.held.set()
    before = len(post.taken)
    await announcer.facts([fact(invocation, 40)])
    announcer.progress(word(invocation, "late"))
    announcer.start()
    await asyncio.sleep(0.05)
    assert len(post.taken) == before
    waiting: Awaitable[None] = announcer.drained()
    await waiting


def test_the_signing_key_is_not_in_the_invocations_text(asked: Asked) -> None:
    invocation = asked(1)
    assert invocation.signing_key not in repr(invocation)
    assert invocation.signing_key not in str(invocation)
    assert invocation.signing_key.encode() in msgspec.json.encode(invocation)
