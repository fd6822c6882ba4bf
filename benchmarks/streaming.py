"""From said to seen: one event's way to a socket, and what an event costs."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
from websockets.asyncio.client import connect

from amelia.adapters.aws.bus import EventBus
from amelia.adapters.aws.session import open_client
from amelia.contract import codec
from amelia.contract.events import AgentMessage
from amelia.ports.queues import Announcement

from . import told
from .bare_stream import CHANNEL
from .ground import Ground
from .reading import Reading, middle, p99
from .watching import Sightings, watched

_WORKFLOWS, _PER_SECOND, _SECONDS = 10, 100, 4
_LOAD = 4_000


async def emit_to_socket(ground: Ground) -> list[Reading]:
    """At 100 events/s: appended to the journal until on a socket of the api, beside the bare way of the same."""
    workflows = await told.working(ground.journal, _WORKFLOWS)
    async with watched(ground, workflows) as seen:
        ours = await _spread(seen, workflows, 1, lambda event: _append(ground, event))
    bare = await _bare(ground, workflows)
    what = "ms, a bare insert, NOTIFY and send"
    return [
        Reading(
            measure=f"emitted to WebSocket, {name}",
            value=of(ours),
            unit="ms",
            what=what,
            beside=of(bare),
            built_for=target,
        )
        for name, of, target in (("p50", middle, "5 ms"), ("p99", p99, ""))
    ]


async def through_the_bus(ground: Ground) -> list[Reading]:
    """Signed, put on the bus, queued, verified, appended, streamed: first at 100 events/s, then as fast as it goes.

    Each workflow's events are said in their order, in batches, as its runtime would.
    """
    workflows = await told.working(ground.journal, _WORKFLOWS)
    async with open_client("events", ground.settings) as client, watched(ground, workflows) as seen:
        bus = EventBus(client, bus=ground.settings.event_bus, source=ground.settings.event_source)

        async def publish(event: AgentMessage) -> None:
            said = told.signed(event, ground.master)
            await bus.publish([Announcement(type=codec.type_of(said), body=codec.encode(said))])

        spread = await _spread(seen, workflows, 1, publish)
        first = _PER_SECOND * _SECONDS // _WORKFLOWS + 1
        before, seconds = _cpu(ground), await _load(bus, seen, workflows, first, ground.master)
        api, router = (now - then for now, then in zip(_cpu(ground), before, strict=True))
    return [
        Reading(measure="published to WebSocket, p50, emulated bus", value=middle(spread), unit="ms"),
        Reading(measure="published to seen, emulated bus", value=_LOAD / seconds, unit="events/s", built_for="6,000/s"),
        Reading(
            measure="CPU per event, api and router",
            value=(api + router) / _LOAD * 1e6,
            unit="µs",
            what="µs of it are the router's",
            beside=router / _LOAD * 1e6,
            ratio=router / (api + router),
            built_for="200 µs",
        ),
    ]


async def _append(ground: Ground, event: AgentMessage) -> None:
    await ground.journal.append([told.arrived(event)])


async def _spread(
    seen: Sightings, workflows: Sequence[str], first: int, emit: Callable[[AgentMessage], Awaitable[None]]
) -> list[float]:
    """Milliseconds from before each was emitted until it was seen; one after the other in each workflow."""
    began: dict[str, float] = {}
    pending = set[asyncio.Task[None]]()
    clock = time.perf_counter()
    for number in range(_PER_SECOND * _SECONDS):
        event = told.message(workflows[number % len(workflows)], first + number // len(workflows))
        await asyncio.sleep(max(0.0, clock + number / _PER_SECOND - time.perf_counter()))
        began[event.id] = time.perf_counter()
        pending.add(asyncio.create_task(_emitted(emit, event)))
    await asyncio.gather(*pending)
    await seen.all_of(list(began))
    return [(seen.at[event_id] - moment) * 1e3 for event_id, moment in began.items()]


async def _emitted(emit: Callable[[AgentMessage], Awaitable[None]], event: AgentMessage) -> None:
    await emit(event)


def _cpu(ground: Ground) -> tuple[float, float]:
    return ground.cpu_seconds("api"), ground.cpu_seconds("router")


async def _load(bus: EventBus, seen: Sightings, workflows: Sequence[str], first: int, master: bytes) -> float:
    """Seconds until all were seen."""
    each = _LOAD // len(workflows)
    events = [[told.signed(told.message(w, first + n), master) for n in range(each)] for w in workflows]
    said = [[Announcement(type=codec.type_of(one), body=codec.encode(one)) for one in of_one] for of_one in events]
    began = time.perf_counter()
    await asyncio.gather(*(bus.publish(of_one) for of_one in said))
    await seen.all_of([one.id for of_one in events for one in of_one], patience=60)
    return time.perf_counter() - began


async def _bare(ground: Ground, workflows: Sequence[str]) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.bare_stream", ground.database_url]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    connection = await asyncpg.connect(ground.database_url)
    lock = asyncio.Lock()
    seen = Sightings()

    async def emit(event: AgentMessage) -> None:
        async with lock, connection.transaction():
            row = (f"bare-stream-{event.workflow_id}", event.ordinal, event.id, codec.encode(event).decode())
            await connection.execute("INSERT INTO event VALUES ($1, $2, $3, 'bare', DEFAULT, DEFAULT, now(), $4)", *row)
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, event.id)

    async def view(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as socket:
            async for frame in socket:
                seen.note(str(frame))

    try:
        assert server.stdout is not None
        port = int(await asyncio.to_thread(server.stdout.readline))
        viewing = asyncio.create_task(view(port))
        await asyncio.sleep(0.2)
        took = await _spread(seen, workflows, 1, emit)
        viewing.cancel()
        await asyncio.gather(viewing, return_exceptions=True)
        return took
    finally:
        await connection.close()
        server.terminate()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()
