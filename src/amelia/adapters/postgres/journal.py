"""The journal on PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Literal

import asyncpg
from piccolo.engine.postgres import PostgresEngine

from ...contract.commands import AnyCommand
from ...domain.changes import appending, closing_gap, executing, expiring, recording, renewing, waking
from ...domain.crowd import Crowd, Limits
from ...domain.effects import Arrived, Change, Reading
from ...domain.lessons import KeptLesson, plain
from ...domain.policy import OPEN, Policy
from ...errors import AmeliaError, Malformed, Refused, Unavailable
from ...failpoints import reach
from ...ports.journal import (
    AsyncContext,
    Burial,
    Cursor,
    DeadLetter,
    DeadLetterState,
    Destination,
    Executed,
    FleetPage,
    MonthlySpending,
    Outgoing,
    Overdue,
    Row,
    Sought,
    Stored,
)
from . import crowd, dead_letters, fleet, lessons, outbox
from . import sought as reading
from .group import GroupCommit
from .listen import listen
from .lock import Lock
from .pool import Pool, close_pool, connect, lock_pool, pool_of, taken
from .row import decode_state, row
from .tables import WorkflowRow
from .transaction import NOTIFY_CHANNEL, OUTBOX_CHANNEL, Changed, apply, storable

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
_READ = "(SELECT min(drained_at) FROM consumer WHERE name = 'router' AND seen_at > now() - make_interval(secs => $4))"
_OVERDUE = f"""
(SELECT 'leases' AS what, id FROM workflow WHERE lease_until < now() AND lease_until < {_READ} LIMIT $2)
UNION ALL (SELECT 'wakes', id FROM workflow WHERE wake_at < now() LIMIT $2)
UNION ALL (SELECT 'gaps', id FROM workflow WHERE gap_since < now() - make_interval(secs => $1)
    AND gap_since < {_READ} LIMIT $2)
UNION ALL (SELECT 'stalled', id FROM workflow WHERE $3 > 0 AND lease_until IS NOT NULL
    AND progress_at < least(now(), {_READ}) - make_interval(secs => $3) AND {_READ} IS NOT NULL LIMIT $2)
"""  # noqa: S608 - ours
_DRAINED = """
WITH gone AS (DELETE FROM consumer WHERE seen_at < now() - interval '1 hour')
INSERT INTO consumer AS c (name, instance, drained_at) VALUES ($1, $3, now() - make_interval(secs => $2))
ON CONFLICT (name, instance) DO UPDATE SET drained_at = greatest(c.drained_at, excluded.drained_at), seen_at = now()
"""
_MONTH = """
SELECT microdollars, tokens FROM spending
WHERE team = $1 AND owner = $2 AND month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
"""
_TRIES = 4
_MADE_TWICE = (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError, asyncpg.InvalidCachedStatementError)
"""What another try mends: two transactions made the same row at the same moment or waited for each other, or a table
was altered under a prepared statement."""


class PostgresJournal:
    """See ``ports.journal.Journal``. ``lease_seconds`` is what an open attempt gets with each sign of life; ``policy``
    gives the rules for plans that wait at this moment."""

    def __init__(
        self, engine: PostgresEngine, locks: Pool, *, lease_seconds: float, policy: Callable[[], Policy] = lambda: OPEN
    ) -> None:
        self._engine = engine
        self._pool = pool_of(engine)
        self._lease_seconds = lease_seconds
        self._policy = policy
        self._group = GroupCommit(self._apply)
        self._locks = locks

    @classmethod
    async def open(
        cls, database_url: str, *, lease_seconds: float, size: int = 8, policy: Callable[[], Policy] = lambda: OPEN
    ) -> "PostgresJournal":
        """Raises ``Unavailable`` while the database is away."""
        engine = await connect(database_url, size)
        return cls(engine, await lock_pool(database_url), lease_seconds=lease_seconds, policy=policy)

    async def close(self) -> None:
        """Soon, also when the database is away: what is under way then has an unknown outcome either way."""
        await self._group.close()
        await close_pool(self._locks)
        await close_pool(self._pool)

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        changed = await self._group.submit(executing(command, fingerprint))
        if changed.error is not None:
            raise changed.error
        if changed.row is None:
            raise Refused(f"{command.workflow_id} is not there")
        reach("executed")
        return Executed(row=changed.row, repeated=changed.repeated, answer=changed.answer)

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
        rules = self._policy()
        changed = await self._apply([appending(w, ones, rules) for w, ones in by_workflow.items()])
        errors = dict(zip(by_workflow, (one.error for one in changed), strict=True))
        for workflow_id, error in errors.items():
            if error is not None and not isinstance(error, AmeliaError) and len(by_workflow[workflow_id]) > 1:
                return [(await self.append([one]))[0] for one in arrived]
        return [errors[one.event.workflow_id] for one in arrived]

    async def record(self, workflow_id: str, reading: Reading, settles: Sequence[str] = ()) -> Row | None:
        return (await self._change(recording(workflow_id, reading, tuple(settles)))).row

    async def close_gap(self, workflow_id: str) -> Row | None:
        return (await self._change(closing_gap(workflow_id, self._policy()))).row

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int, progress_seconds: float = 0) -> list[Row]:
        changed = await self._apply([expiring(id_, max_attempts, progress_seconds) for id_ in workflow_ids])
        return [one.row for one in changed if one.row is not None and not one.row.workflow.open]

    async def renew(self, workflow_id: str, epoch: int) -> bool:
        row = (await self._change(renewing(workflow_id, epoch))).row
        return row is not None and row.workflow.open and row.workflow.epoch == epoch

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        await self._apply([waking(workflow_id) for workflow_id in workflow_ids])

    async def _change(self, change: Change) -> Changed:
        [changed] = await self._apply([change])
        if changed.error is not None:
            raise changed.error
        return changed

    async def _apply(self, changes: Sequence[Change]) -> list[Changed]:
        for tried in range(_TRIES):
            async with taken(self._pool) as connection:
                try:
                    return await apply(connection, changes, self._lease_seconds)
                except _MADE_TWICE:
                    if tried == _TRIES - 1:
                        raise
            await asyncio.sleep(random.uniform(0, 0.01) * 2**tried)  # noqa: S311 - jitter
        raise AssertionError

    async def month(self, team: str, owner: str) -> MonthlySpending:
        async with taken(self._pool) as connection:
            record = await connection.fetchrow(_MONTH, team, owner)
        return MonthlySpending(**dict(record)) if record else MonthlySpending()

    async def get(self, workflow_id: str) -> Row | None:
        if not storable(workflow_id):
            return None
        async with taken(self._pool) as connection:
            record = await connection.fetchrow(_GET, workflow_id)
        return None if record is None else row(decode_state(record["state"]), record)

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
        async with taken(self._pool) as connection:
            records = await connection.fetch(sql, *arguments)
        return [row(decode_state(record["state"]), record) for record in records]

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        async with taken(self._pool) as connection:
            records = await connection.fetch(_EVENTS, list(after), list(after.values()), limit)
        return [Stored(*record) for record in records]

    async def sought(self, workflow_id: str, sought: Sought, after: int = 0, limit: int = 500) -> list[Stored]:
        return await reading.read(self._pool, workflow_id, sought, after, limit)

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        return await fleet.read(self._pool, after, limit)

    async def due(self, limit: int, resend_seconds: float, destination: Destination | None = None) -> list[Outgoing]:
        return await outbox.due(self._pool, limit, resend_seconds, destination)

    async def unsent(self, ids: Sequence[str], after_seconds: float) -> None:
        await outbox.unsent(self._pool, ids, after_seconds)

    async def settle(self, ids: Sequence[str]) -> None:
        await outbox.settle(self._pool, ids)

    async def overdue(
        self, *, gap_seconds: float, limit: int, progress_seconds: float = 0, silence_seconds: float = 15
    ) -> Overdue:
        times = (float(progress_seconds), float(silence_seconds))
        async with taken(self._pool) as connection:
            records = await connection.fetch(_OVERDUE, float(gap_seconds), limit, *times)
        found: dict[str, list[str]] = {}
        for record in records:
            found.setdefault(record["what"], []).append(record["id"])
        return Overdue(**{what: tuple(ids) for what, ids in found.items()})

    async def bury(self, burials: Sequence[Burial]) -> None:
        await dead_letters.bury(self._pool, burials)

    async def dead_letters(
        self, *, state: DeadLetterState | Literal[""] = "", before: tuple[datetime, str] | None = None, limit: int
    ) -> list[DeadLetter]:
        return await dead_letters.listed(self._pool, state, before, limit)

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        return await dead_letters.one(self._pool, dead_letter_id)

    async def redrive(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        return await dead_letters.decide(self._pool, ids, by, again=True)

    async def discard(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        return await dead_letters.decide(self._pool, ids, by, again=False)

    async def lessons(self, team: str, repository: str = "") -> list[KeptLesson]:
        return await lessons.read(self._pool, team, repository and plain(repository))

    async def forget(self, team: str, ids: Sequence[str]) -> list[KeptLesson]:
        return await lessons.forget(self._pool, team, ids)

    async def places_taken(self) -> int:
        return await crowd.places_taken(self._pool)

    async def crowd(self, most: int, limits: Limits, *, runnable: bool = False, of: str = "") -> Crowd:
        return await crowd.read(self._pool, most, limits, runnable=runnable, of=of)

    async def drained(self, consumer: str, seconds_ago: float = 0, instance: str = "") -> None:
        async with taken(self._pool) as connection:
            await connection.execute(_DRAINED, consumer, float(seconds_ago), instance)

    async def leave(self, consumer: str, instance: str) -> None:
        async with taken(self._pool) as connection:
            await connection.execute("DELETE FROM consumer WHERE name = $1 AND instance = $2", consumer, instance)

    def exclusively(self, name: str, *, wait: bool = True) -> AsyncContext:
        return Lock(self._locks, name, wait=wait)

    def changes(self) -> AsyncIterator[dict[str, int]]:
        return listen(self._pool, NOTIFY_CHANNEL)

    def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        return listen(self._pool, OUTBOX_CHANNEL)
