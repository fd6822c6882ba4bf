"""Reading back a whole history."""

import time

import asyncpg
from websockets.asyncio.client import connect

from . import told
from .ground import Ground
from .reading import Reading, middle
from .watching import address

_EVENTS, _TURNS, _PAGE = 10_000, 5, 1_000
_TARGET = "100,000/s"
_SELECT = "SELECT sequence, body FROM event WHERE workflow_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"


async def measure(ground: Ground) -> list[Reading]:
    [workflow_id] = await told.working(ground.journal, 1)
    events = told.rounds([workflow_id], 1, _EVENTS)
    for i in range(0, len(events), 1_000):
        await ground.journal.append(events[i : i + 1_000])
    from_the_journal, bare, streamed = list[float](), list[float](), list[float]()
    connection = await asyncpg.connect(ground.database_url)
    try:
        for _ in range(_TURNS):
            from_the_journal.append(await _journal(ground, workflow_id))
            bare.append(await _bare(connection, workflow_id))
            streamed.append(await _streamed(ground, workflow_id))
    finally:
        await connection.close()
    what = "events/s, a bare select of the same rows"
    return [
        Reading(
            measure=f"reading back {name}",
            value=middle(values),
            unit="events/s",
            what=what,
            beside=middle(bare),
            built_for=_TARGET,
        )
        for name, values in (("from the journal", from_the_journal), ("over the WebSocket", streamed))
    ]


async def _journal(ground: Ground, workflow_id: str) -> float:
    began, after = time.perf_counter(), 0
    while rows := await ground.journal.events({workflow_id: after}, _PAGE):
        after = rows[-1].sequence
    return after / (time.perf_counter() - began)


async def _bare(connection: "asyncpg.Connection[asyncpg.Record]", workflow_id: str) -> float:
    began, after = time.perf_counter(), 0
    while rows := await connection.fetch(_SELECT, workflow_id, after, _PAGE):
        after = rows[-1]["sequence"]
    return float(after / (time.perf_counter() - began))


async def _streamed(ground: Ground, workflow_id: str) -> float:
    headers = {"Authorization": f"Bearer {ground.token}"}
    began = time.perf_counter()
    url = f"{address(ground, workflow_id)}?after=0&batch=1"
    async with connect(url, additional_headers=headers, max_size=None, compression=None, proxy=None) as socket:
        async for frame in socket:
            if b'"caught_up"' in (frame if isinstance(frame, bytes) else frame[:40].encode()):
                break
    return _EVENTS / (time.perf_counter() - began)
