"""From an accepted submission to its first event: by the outbox, the queue and admission."""

import asyncio
import time

from msgspec.structs import replace

from amelia_dispatcher.bootstrap import run

from . import told
from .ground import Ground
from .reading import Reading, middle

_TIMES, _QUEUED = 15, 10_000
_TARGET = "40 ms"
_FILL = """
INSERT INTO workflow (id, team, owner, status, repository, epoch, sequence, state, queued_since)
SELECT 'wf-' || gen_random_uuid(), 'bench', 'somebody-' || n % 50, 'pending', 'https://git.example.com/' || n, 0, 1,
    state, now() FROM workflow, generate_series(1, $2::int) n WHERE id = $1
"""


async def measure(ground: Ground) -> list[Reading]:
    """The queue is of owners who have all they may have, so that every look at it finds that nobody of it can enter."""
    alone = await _admitted(ground, queued=0)
    behind = await _admitted(ground, queued=_QUEUED)
    return [
        Reading(
            measure="submitted to its first event",
            value=behind,
            unit=f"ms, {_QUEUED:,} queued",
            what="ms, nobody queued",
            beside=alone,
            built_for=_TARGET,
        )
    ]


async def _admitted(ground: Ground, *, queued: int) -> float:
    settings = replace(ground.settings, max_in_progress=1000, max_in_progress_per_user=1, ci_teams="")
    stop = asyncio.Event()
    if queued:
        await _fill(ground, queued)
    dispatching = asyncio.create_task(run(settings, stop))
    try:
        times = [await _first_event(ground, f"{queued}-{number}") for number in range(_TIMES)]
    finally:
        stop.set()
        await dispatching
    return middle(times[3:])


async def _fill(ground: Ground, queued: int) -> None:
    import asyncpg

    known = told.start()
    await ground.journal.execute(known)
    connection = await asyncpg.connect(ground.database_url)
    try:
        await connection.execute(_FILL, known.workflow_id, queued)
        await connection.execute(
            """INSERT INTO workflow (id, team, owner, status, repository, epoch, sequence, state)
            SELECT 'wf-' || gen_random_uuid(), 'bench', 'somebody-' || n, 'in_progress', '', 1, 1, state
            FROM workflow, generate_series(0, 49) n WHERE id = $1""",
            known.workflow_id,
        )
        await connection.execute("ANALYZE workflow")
    finally:
        await connection.close()


async def _first_event(ground: Ground, name: str) -> float:
    command = replace(told.start(), owner=name, repository=f"file://{ground.state.root}/{name}")
    began = time.perf_counter()
    await ground.journal.execute(command)
    while True:
        row = await ground.journal.get(command.workflow_id)
        if row is not None and row.workflow.epoch:
            return (time.perf_counter() - began) * 1e3
        await asyncio.sleep(0.001)
