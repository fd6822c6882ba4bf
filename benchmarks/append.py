"""The journal's batch append against a bare insert of the same rows, batch for batch, taking turns."""

import time
from collections.abc import Sequence

import asyncpg

from amelia.contract import codec
from amelia.domain.effects import Arrived

from . import told
from .ground import Ground
from .reading import Reading, middle

_TURNS, _BATCHES = 7, 12
_BARE = """
INSERT INTO event (workflow_id, sequence, id, type, body)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
"""


async def measure(ground: Ground) -> list[Reading]:
    return [await _append(ground, 100), await _append(ground, 10)]


async def _append(ground: Ground, batch: int) -> Reading:
    """Each batch brings one event of each of ``batch`` workflows."""
    workflows = await told.working(ground.journal, batch)
    ours, bare, ratios = list[float](), list[float](), list[float]()
    connection = await asyncpg.connect(ground.database_url)
    try:
        for turn in range(_TURNS):
            events = told.rounds(workflows, turn * _BATCHES + 1, (turn + 1) * _BATCHES)
            batches = [events[i : i + batch] for i in range(0, len(events), batch)]
            began = time.perf_counter()
            for one in batches:
                await ground.journal.append(one)
            between = time.perf_counter()
            for one in batches:
                await _insert(connection, one)
            ended = time.perf_counter()
            ours.append(len(events) / (between - began))
            bare.append(len(events) / (ended - between))
            ratios.append(ours[-1] / bare[-1])
    finally:
        await connection.close()
    return Reading(
        measure=f"append, {batch} events a batch",
        value=middle(ours),
        unit="events/s",
        what="events/s, a bare insert of the same rows",
        beside=middle(bare),
        ratio=middle(ratios),
    )


async def _insert(connection: "asyncpg.Connection[asyncpg.Record]", batch: Sequence[Arrived]) -> None:
    """The same rows into the same table, under other workflows' ids."""
    columns = [
        (f"bare-{a.event.workflow_id}", a.event.ordinal, a.event.id, codec.type_of(a.event), a.body) for a in batch
    ]
    await connection.execute(_BARE, *map(list, zip(*columns, strict=True)))
