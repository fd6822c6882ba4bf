"""The journal on PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from piccolo.engine.postgres import PostgresEngine

from ...contract.commands import AnyCommand
from ...domain.changes import appending, closing_gap, executing, expiring, recording, waking
from ...domain.crowd import Crowd, Limits
from ...domain.effects import Arrived, Change, Reading
from ...domain.workflow import Workflow
from ...errors import Malformed, Refused, Unavailable
from ...failpoints import reach
from ...ports.journal import (
    AsyncContext,
    Cursor,
    Destination,
    Executed,
    FleetPage,
    Outgoing,
    Overdue,
    Row,
    Stored,
)
from . import crowd, fleet
from .group import GroupCommit
from .listen import listen
from .lock import Lock
from .pool import Pool, close_pool, connect, lock_pool, pool_of, unavailable
from .tables import WorkflowRow
from .transaction import NOTIFY_CHANNEL, OUTBOX_CHANNEL, Changed, apply, storable

_decode_state = msgspec.json.Decoder(Workflow).decode

_ROW = ("state", "created_at", "updated_at", "lease_until", "gap_since")
_GET = f"SELECT {', '.join(_ROW)} FROM workflow WHERE id = $1"  # noqa: S608 - names of ours
_EVENTS = """
SELECT e.workflow_id, e.sequence, e.body
FROM unnest($1::text[], $2::bigint[]) AS c(workflow_id, after)
CROSS JOIN LATERAL (
    SELECT workflow_id, sequence, body FROM event
    WHERE workflow_id = c.workflow_id AND sequence > c.after ORDER BY sequence LIMIT $3
) e
"""
_DUE = """
UPDATE outbox SET publishes = publishes + 1, next_at = now() + make_interval(secs => $2 * least(publishes + 1, 12))
WHERE id IN (SELECT id FROM outbox WHERE next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, destination, workflow_id, body, publishes - 1 AS publishes
"""
_OVERDUE = """
(SELECT 'leases' AS what, id FROM workflow WHERE lease_until < now()
    AND lease_until < (SELECT min(drained_at) FROM consumer
        WHERE name = 'router' AND seen_at > now() - interval '15 s') LIMIT $2)
UNION ALL (SELECT 'wakes', id FROM workflow WHERE wake_at < now() LIMIT $2)
UNION ALL (SELECT 'gaps', id FROM workflow WHERE gap_since < now() - make_interval(secs => $1)
    AND gap_since < (SELECT min(drained_at) FROM consumer
        WHERE name = 'router' AND seen_at > now() - interval '15 s') LIMIT $2)
"""
_DRAINED = """
INSERT INTO consumer AS c (name, instance, drained_at) VALUES ($1, $3, now() - make_interval(secs => $2))
ON CONFLICT (name, instance) DO UPDATE SET drained_at = greatest(c.drained_at, excluded.drained_at), seen_at = now()
"""


class PostgresJournal:
    """See ``ports.journal.Journal``. ``lease_seconds`` is what an open attempt gets with each sign of life."""

    def __init__(self, engine: PostgresEngine, locks: Pool, *, lease_seconds: float) -> None:
        self._engine = engine
        self._lease_seconds = lease_seconds
        self._group = GroupCommit(self._apply)
        self._locks = locks

    @classmethod
    async def open(cls, database_url: str, *, lease_seconds: float, size: int = 8) -> "PostgresJournal":
        """Raises ``Unavailable`` while the database is away."""
        engine = await connect(database_url, size)
        return cls(engine, await lock_pool(database_url), lease_seconds=lease_seconds)

    async def close(self) -> None:
        """Soon, also when the database is away: what is under way then has an unknown outcome either way."""
        await self._group.close()
        await close_pool(self._locks)
        await close_pool(pool_of(self._engine))

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        changed = await self._group.submit(executing(command, fingerprint))
        if changed.error is not None:
            raise changed.error
        if changed.row is None:
            raise Refused(f"{command.workflow_id} is not there")
        reach("executed")
        return Executed(row=changed.row, repeated=changed.repeated)

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        """One transaction for all; when it fails for a reason of its own, halves, until the poison is alone."""
        if not arrived:
            return []
        try:
            return await self._append(arrived)
        except Unavailable:
            raise
        except Exception as error:
            if len(arrived) == 1:
                return [Malformed(f"the journal cannot take it: {type(error).__name__}: {error}")]
            middle = len(arrived) // 2
            return [*await self.append(arrived[:middle]), *await self.append(arrived[middle:])]

    async def _append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        by_workflow: dict[str, list[Arrived]] = {}
        for one in arrived:
            by_workflow.setdefault(one.event.workflow_id, []).append(one)
        changed = await self._apply([appending(w, ones) for w, ones in by_workflow.items()])
        errors = dict(zip(by_workflow, (one.error for one in changed), strict=True))
        return [errors[one.event.workflow_id] for one in arrived]

    async def record(self, workflow_id: str, reading: Reading, settles: Sequence[str] = ()) -> Row | None:
        [changed] = await self._apply([recording(workflow_id, reading, tuple(settles))])
        if changed.error is not None:
            raise changed.error
        return changed.row

    async def close_gap(self, workflow_id: str) -> Row | None:
        [changed] = await self._apply([closing_gap(workflow_id)])
        if changed.error is not None:
            raise changed.error
        return changed.row

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int) -> list[Row]:
        changed = await self._apply([expiring(workflow_id, max_attempts) for workflow_id in workflow_ids])
        return [one.row for one in changed if one.row is not None and not one.row.workflow.open]

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        await self._apply([waking(workflow_id) for workflow_id in workflow_ids])

    async def _apply(self, changes: Sequence[Change]) -> list[Changed]:
        """Once more when two transactions made the same row at the same moment."""
        for last_try in (False, False, True):
            try:
                async with unavailable(), pool_of(self._engine).acquire() as connection:
                    return await apply(connection, changes, self._lease_seconds)
            except asyncpg.UniqueViolationError:
                if last_try:
                    raise
        raise AssertionError

    async def get(self, workflow_id: str) -> Row | None:
        if not storable(workflow_id):
            return None
        async with unavailable():
            record = await pool_of(self._engine).fetchrow(_GET, workflow_id)
        return None if record is None else _row(dict(record))

    async def page(
        self,
        *,
        before: tuple[datetime, str] | None,
        limit: int,
        statuses: Sequence[str] = (),
        owner: str = "",
        repository: str = "",
    ) -> list[Row]:
        query = WorkflowRow.select(*(getattr(WorkflowRow, name) for name in _ROW))
        if statuses:
            query = query.where(WorkflowRow.status.is_in(list(statuses)))
        for column, wanted in ((WorkflowRow.owner, owner), (WorkflowRow.repository, repository)):
            if wanted:
                query = query.where(column == wanted)
        if before is not None:
            moment, last_id = before
            older = WorkflowRow.created_at < moment
            query = query.where(older | ((WorkflowRow.created_at == moment) & (WorkflowRow.id < last_id)))
        newest_first = query.order_by(WorkflowRow.created_at, WorkflowRow.id, ascending=False)
        sql, arguments = newest_first.limit(limit).querystrings[0].compile_string()
        async with unavailable():
            return [_row(dict(record)) for record in await pool_of(self._engine).fetch(sql, *arguments)]

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        async with unavailable():
            records = await pool_of(self._engine).fetch(_EVENTS, list(after), list(after.values()), limit)
        return [Stored(*record) for record in records]

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        return await fleet.read(pool_of(self._engine), after, limit)

    async def due(self, limit: int, resend_seconds: float) -> list[Outgoing]:
        async with unavailable():
            records = await pool_of(self._engine).fetch(_DUE, limit, float(resend_seconds))
        return [
            Outgoing(
                id=record["id"],
                destination=_destination(record["destination"]),
                workflow_id=record["workflow_id"],
                body=record["body"],
                publishes=record["publishes"],
            )
            for record in records
        ]

    async def settle(self, ids: Sequence[str]) -> None:
        async with unavailable():
            await pool_of(self._engine).execute("DELETE FROM outbox WHERE id = ANY($1::text[])", list(ids))

    async def overdue(self, *, gap_seconds: float, limit: int) -> Overdue:
        async with unavailable():
            records = await pool_of(self._engine).fetch(_OVERDUE, float(gap_seconds), limit)
        found: dict[str, list[str]] = {}
        for record in records:
            found.setdefault(record["what"], []).append(record["id"])
        return Overdue(**{what: tuple(ids) for what, ids in found.items()})

    async def places_taken(self) -> int:
        return await crowd.places_taken(pool_of(self._engine))

    async def crowd(self, most: int, limits: Limits, *, runnable: bool = False, of: str = "") -> Crowd:
        return await crowd.read(pool_of(self._engine), most, limits, runnable=runnable, of=of)

    async def drained(self, consumer: str, seconds_ago: float = 0, instance: str = "") -> None:
        async with unavailable():
            await pool_of(self._engine).execute(_DRAINED, consumer, float(seconds_ago), instance)

    def exclusively(self, name: str, *, wait: bool = True) -> AsyncContext:
        return Lock(self._locks, name, wait=wait)

    def changes(self) -> AsyncIterator[dict[str, int]]:
        return listen(pool_of(self._engine), NOTIFY_CHANNEL)

    def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        return listen(pool_of(self._engine), OUTBOX_CHANNEL)


def _row(record: Mapping[str, Any]) -> Row:
    return Row(
        workflow=_decode_state(record["state"]),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        lease_until=record["lease_until"],
        behind=record["gap_since"] is not None,
    )


def _destination(text: str) -> Destination:
    return "bus" if text == "bus" else "commands"
