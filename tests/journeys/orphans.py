"""Somebody who looks at the journal all the time: no workflow may be forgotten, none that has ended may change."""

import asyncio
import contextlib

import asyncpg

from amelia.adapters.postgres.pool import AWAY

_LOOK = """
SELECT 'orphan' AS what, id, status FROM workflow w
WHERE status NOT IN ('completed', 'failed', 'cancelled', 'blocked', 'paused') AND lease_until IS NULL
    AND wake_at IS NULL AND queued_since IS NULL
    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.workflow_id = w.id AND o.destination = 'commands')
UNION ALL SELECT 'ended', id, status FROM workflow WHERE status IN ('completed', 'failed', 'cancelled')
UNION ALL SELECT 'taken', id, status FROM workflow WHERE status = 'in_progress' OR (status = 'pending' AND admitted)
"""
_LOOK_SECONDS = 0.05


class Watch:
    """``orphans`` were seen with neither a lease, nor an order in the outbox, nor a time to be woken at, nor a place in
    the queue; ``changed`` have ended, and then in another way, although they were not ``retried``. ``most`` is how
    many were in progress at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended: dict[str, str] = {}
        self.orphans: set[tuple[str, str]] = set()
        self.changed: set[tuple[str, str, str]] = set()
        self.retried: set[str] = set()
        self.looks = self.most = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(*AWAY):
                connection = await asyncpg.connect(self._url, command_timeout=30)
                try:
                    while not stop.is_set():
                        await self._look(connection)
                        await asyncio.sleep(_LOOK_SECONDS)
                finally:
                    with contextlib.suppress(*AWAY):
                        await connection.close()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        seen: dict[str, dict[str, str]] = {"orphan": {}, "ended": {}, "taken": {}}
        for row in await connection.fetch(_LOOK):
            seen[row["what"]][row["id"]] = row["status"]
        self.orphans.update(seen["orphan"].items())
        self.most = max(self.most, len(seen["taken"]))
        ended = seen["ended"]
        known = {id_: was for id_, was in self._ended.items() if id_ not in self.retried}
        self.changed.update((id_, was, ended.get(id_, "")) for id_, was in known.items() if ended.get(id_) != was)
        self._ended = ended
        self.looks += 1
