"""The journal in memory: the same changes as the PostgreSQL journal makes, with the same answers, for one process."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from ...contract.commands import AnyCommand
from ...domain.changes import appending, closing_gap, executing, expiring, recording, waking
from ...domain.effects import Arrived, Change, Reading
from ...errors import Refused
from ...ports.journal import AsyncContext, Cursor, Executed, FleetEvent, FleetPage, Outgoing, Overdue, Row, Stored
from .clock import LoopClock
from .lock import Held, Locks
from .notices import Notices
from .tables import Tables, Told
from .transaction import Changed, Written, apply

_MOST_PAUSES = 12
"""The pause before an outbox row is sent again grows with each publish, up to so many times the first."""


class MemoryDatabase:
    """What several journals share. Used on one event loop; gone with it."""

    def __init__(self, clock: LoopClock | None = None) -> None:
        self.clock = clock or LoopClock()
        self.tables = Tables()
        self.locks = Locks()
        self.changes = Notices()
        self.outbox_wakes = Notices()

    def commit(self, changes: Sequence[Change], lease_seconds: float) -> Written:
        written = apply(self.tables, changes, self.clock.now(), lease_seconds)
        if written.reached:
            self.changes.say(written.reached)
        if written.ordered:
            self.outbox_wakes.say({"": 0})
        return written


class MemoryJournal:
    """See ``ports.journal.Journal``. ``lease_seconds`` is what an open attempt gets with each sign of life."""

    def __init__(self, database: MemoryDatabase | None = None, *, lease_seconds: float = 20) -> None:
        self._database = database or MemoryDatabase()
        self._lease_seconds = lease_seconds

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        changed = self._change(executing(command, fingerprint))
        if changed.row is None:
            raise Refused(f"{command.workflow_id} is not there")
        return Executed(row=changed.row, repeated=changed.repeated)

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        by_workflow: dict[str, list[Arrived]] = {}
        for one in arrived:
            by_workflow.setdefault(one.event.workflow_id, []).append(one)
        changed = self._apply([appending(w, ones) for w, ones in by_workflow.items()])
        errors = dict(zip(by_workflow, (one.error for one in changed), strict=True))
        return [errors[one.event.workflow_id] for one in arrived]

    async def record(self, workflow_id: str, reading: Reading, settles: Sequence[str] = ()) -> Row | None:
        return self._change(recording(workflow_id, reading, tuple(settles))).row

    async def get(self, workflow_id: str) -> Row | None:
        record = self._tables.workflows.get(workflow_id)
        return record.row if record else None

    async def page(
        self,
        *,
        before: tuple[datetime, str] | None,
        limit: int,
        statuses: Sequence[str] = (),
        owner: str = "",
        repository: str = "",
    ) -> list[Row]:
        rows = (record.row for record in self._tables.workflows.values())
        found = [
            row
            for row in rows
            if (not statuses or row.workflow.status in statuses)
            and owner in ("", row.workflow.owner)
            and repository in ("", row.workflow.repository)
        ]
        if before is not None:
            found = [row for row in found if (row.created_at, row.workflow.id) < before]
        return sorted(found, key=lambda row: (row.created_at, row.workflow.id), reverse=True)[:limit]

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        rows = list[Stored]()
        for workflow_id, sequence in sorted(after.items()):
            known = self._tables.events.get(workflow_id, [])
            first = bisect_right(known, sequence, key=lambda row: row.sequence)
            rows += known[first : first + limit]
        return rows

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        now = (self._tables.transactions + 1, 0)
        if after is None:
            return FleetPage(items=(), cursor=now, complete=True)
        first = bisect_right(self._tables.told, after, key=lambda told: told.place)
        found = self._tables.told[first : first + limit]
        complete = len(found) < limit
        cursor = max(after, now) if complete else found[-1].place
        return FleetPage(items=tuple(map(self._fleet_event, found)), cursor=cursor, complete=complete)

    def _fleet_event(self, told: Told) -> FleetEvent:
        stored = told.stored
        w = self._tables.workflows[stored.workflow_id].workflow
        return FleetEvent(told.place, w.id, stored.sequence, told.type, stored.body, w.repository, w.team, w.status)

    async def due(self, limit: int, resend_seconds: float) -> list[Outgoing]:
        now = self._database.clock.now()
        due = sorted((row for row in self._tables.outbox.values() if row.next_at <= now), key=lambda r: r.next_at)
        taken = list[Outgoing]()
        for row in due[:limit]:
            taken.append(
                Outgoing(
                    id=row.id,
                    destination=row.destination,
                    workflow_id=row.workflow_id,
                    body=row.body,
                    publishes=row.publishes,
                )
            )
            row.publishes += 1
            row.next_at = now + timedelta(seconds=resend_seconds * min(row.publishes, _MOST_PAUSES))
        return taken

    async def settle(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            self._tables.outbox.pop(id_, None)

    async def overdue(self, *, gap_seconds: float, limit: int) -> Overdue:
        now, records = self._database.clock.now(), self._tables.workflows.values()
        drained = self._tables.drained.get("router")
        gap = now - timedelta(seconds=gap_seconds)
        read = min(now, drained) if drained else None
        return Overdue(
            leases=tuple(x.workflow.id for x in records if read and x.lease_until and x.lease_until < read)[:limit],
            wakes=tuple(x.workflow.id for x in records if x.wake_at and x.wake_at < now)[:limit],
            gaps=tuple(x.workflow.id for x in records if drained and x.gap_since and x.gap_since < min(gap, drained))[
                :limit
            ],
        )

    async def close_gap(self, workflow_id: str) -> Row | None:
        return self._change(closing_gap(workflow_id)).row

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int) -> list[Row]:
        changed = self._apply([expiring(workflow_id, max_attempts) for workflow_id in workflow_ids])
        return [one.row for one in changed if one.row is not None and not one.row.workflow.open]

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        self._apply([waking(workflow_id) for workflow_id in workflow_ids])

    async def drained(self, consumer: str, seconds_ago: float = 0) -> None:
        moment = self._database.clock.now() - timedelta(seconds=seconds_ago)
        self._tables.drained[consumer] = max(moment, self._tables.drained.get(consumer, moment))

    def exclusively(self, name: str, *, wait: bool = True) -> AsyncContext:
        return Held(self._database.locks, name, wait=wait)

    def changes(self) -> AsyncIterator[dict[str, int]]:
        return self._database.changes.hear()

    def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        return self._database.outbox_wakes.hear()

    async def close(self) -> None:
        """The database stays for the other journals on it."""

    @property
    def _tables(self) -> Tables:
        return self._database.tables

    def _change(self, change: Change) -> Changed:
        [changed] = self._apply([change])
        if changed.error is not None:
            raise changed.error
        return changed

    def _apply(self, changes: Sequence[Change]) -> list[Changed]:
        return self._database.commit(changes, self._lease_seconds).changed
