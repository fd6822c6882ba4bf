"""The journal in memory: the same changes as the PostgreSQL journal makes, with the same answers, for one process."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

import msgspec

from ...contract.commands import AnyCommand
from ...contract.workflow import Budget
from ...domain.changes import appending, closing_gap, executing, expiring, recording, renewing, waking
from ...domain.crowd import Crowd, Limits
from ...domain.effects import Arrived, Change
from ...domain.effects import Reading as Finding
from ...domain.lessons import KeptLesson
from ...domain.policy import OPEN, Policy
from ...errors import Refused
from ...ports.journal import (
    AsyncContext,
    Burial,
    Cursor,
    DeadLetter,
    DeadLetterState,
    Destination,
    Executed,
    FleetEvent,
    FleetPage,
    MonthlySpending,
    Outgoing,
    Overdue,
    Row,
    Sought,
    Stored,
)
from . import crowd, graves, lessons, outbox
from .clock import LoopClock
from .lock import Held, Locks
from .notices import Notices
from .tables import Reading, Record, Tables, Told
from .transaction import Changed, Written, apply


class _Head(msgspec.Struct):
    type: str


_head = msgspec.json.Decoder(_Head)


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
            self.outbox_wakes.say(dict.fromkeys(sorted(written.ordered), 0))
        return written


class MemoryJournal:
    """See ``ports.journal.Journal``. ``lease_seconds`` is what an open attempt gets with each sign of life."""

    def __init__(
        self,
        database: MemoryDatabase | None = None,
        *,
        lease_seconds: float = 20,
        policy: Callable[[], Policy] = lambda: OPEN,
    ) -> None:
        self._database = database or MemoryDatabase()
        self._lease_seconds = lease_seconds
        self._policy = policy

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        changed = self._change(executing(command, fingerprint))
        if changed.row is None:
            raise Refused(f"{command.workflow_id} is not there")
        return Executed(row=changed.row, repeated=changed.repeated, answer=changed.answer)

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        by_workflow: dict[str, list[Arrived]] = {}
        for one in arrived:
            by_workflow.setdefault(one.event.workflow_id, []).append(one)
        changed = self._apply([appending(w, ones, self._policy()) for w, ones in by_workflow.items()])
        errors = dict(zip(by_workflow, (one.error for one in changed), strict=True))
        return [errors[one.event.workflow_id] for one in arrived]

    async def record(self, workflow_id: str, reading: Finding, settles: Sequence[str] = ()) -> Row | None:
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

    async def sought(self, workflow_id: str, sought: Sought, after: int = 0, limit: int = 500) -> list[Stored]:
        rows = self._tables.events.get(workflow_id, [])
        found = (row for row in rows if row.sequence > after and _head.decode(row.body).type == sought)
        return list(islice(found, limit))

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

    async def due(self, limit: int, resend_seconds: float, destination: Destination | None = None) -> list[Outgoing]:
        return outbox.claim(self._tables, self._now, limit, resend_seconds, destination)

    async def unsent(self, ids: Sequence[str], after_seconds: float) -> None:
        outbox.give_back(self._tables, self._now, list(ids), after_seconds)

    async def settle(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            self._tables.outbox.pop(id_, None)

    async def overdue(
        self, *, gap_seconds: float, limit: int, progress_seconds: float = 0, silence_seconds: float = 15
    ) -> Overdue:
        now, records, read = self._now, self._tables.workflows.values(), self._read_by("router", silence_seconds)
        gap = now - timedelta(seconds=gap_seconds)
        idle = min(now, read or now) - timedelta(seconds=progress_seconds)
        leases = [x for x in records if read and x.lease_until and x.lease_until < min(now, read)]
        stalled = [x for x in records if progress_seconds and read and _idle_since(x, idle)]
        return Overdue(
            leases=tuple(x.workflow.id for x in leases)[:limit],
            wakes=tuple(x.workflow.id for x in records if x.wake_at and x.wake_at < now)[:limit],
            gaps=tuple(x.workflow.id for x in records if read and x.gap_since and x.gap_since < min(gap, read))[:limit],
            stalled=tuple(x.workflow.id for x in stalled)[:limit],
        )

    async def close_gap(self, workflow_id: str) -> Row | None:
        return self._change(closing_gap(workflow_id, self._policy())).row

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int, progress_seconds: float = 0) -> list[Row]:
        changed = self._apply([expiring(workflow_id, max_attempts, progress_seconds) for workflow_id in workflow_ids])
        return [one.row for one in changed if one.row is not None and not one.row.workflow.open]

    async def renew(self, workflow_id: str, epoch: int) -> bool:
        row = self._change(renewing(workflow_id, epoch)).row
        return row is not None and row.workflow.open and row.workflow.epoch == epoch

    async def places_taken(self) -> int:
        return sum(record.holds_place for record in self._tables.workflows.values())

    async def crowd(self, most: int, limits: Limits, *, runnable: bool = False, of: str = "") -> Crowd:
        return crowd.read(self._tables, self._now, most, limits, runnable=runnable, of=of)

    async def month(self, team: str, owner: str) -> MonthlySpending:
        spent = crowd.month(self._tables, self._now, (team, owner)) or Budget()
        return MonthlySpending(microdollars=spent.microdollars, tokens=spent.tokens)

    async def lessons(self, team: str, repository: str = "") -> list[KeptLesson]:
        return lessons.read(self._tables, team, repository)

    async def forget(self, team: str, ids: Sequence[str]) -> list[KeptLesson]:
        return lessons.forget(self._tables, team, ids)

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        self._apply([waking(workflow_id) for workflow_id in workflow_ids])

    async def drained(self, consumer: str, seconds_ago: float = 0, instance: str = "") -> None:
        moment, known = self._now - timedelta(seconds=seconds_ago), self._tables.readings.get((consumer, instance))
        drained_at = max(moment, known.drained_at) if known else moment
        self._tables.readings[consumer, instance] = Reading(drained_at=drained_at, seen_at=self._now)

    async def leave(self, consumer: str, instance: str) -> None:
        self._tables.readings.pop((consumer, instance), None)

    async def bury(self, burials: Sequence[Burial]) -> None:
        graves.bury(self._tables, self._now, burials)

    async def dead_letters(
        self, *, state: DeadLetterState | Literal[""] = "", before: tuple[datetime, str] | None = None, limit: int
    ) -> list[DeadLetter]:
        return graves.page(self._tables, state, before, limit)

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None:
        grave = self._tables.graves.get(dead_letter_id)
        return grave.letter if grave else None

    async def redrive(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        answers = [graves.redrive(self._tables, self._now, id_, by) for id_ in ids]
        sent: dict[str, int] = {one.source: 0 for one in answers if isinstance(one, DeadLetter)}
        if sent:
            self._database.outbox_wakes.say(sent)
        return answers

    async def discard(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        return [graves.discard(self._tables, id_, by) for id_ in ids]

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

    @property
    def _now(self) -> datetime:
        return self._database.clock.now()

    def _read_by(self, consumer: str, silence_seconds: float) -> datetime | None:
        """Up to when all its instances that are still heard of have read everything."""
        heard = self._now - timedelta(seconds=silence_seconds)
        readings = [x for (name, _), x in self._tables.readings.items() if name == consumer and x.seen_at > heard]
        return min((x.drained_at for x in readings), default=None)

    def _change(self, change: Change) -> Changed:
        [changed] = self._apply([change])
        if changed.error is not None:
            raise changed.error
        return changed

    def _apply(self, changes: Sequence[Change]) -> list[Changed]:
        return self._database.commit(changes, self._lease_seconds).changed


def _idle_since(record: Record, moment: datetime) -> bool:
    return record.lease_until is not None and record.progress_at is not None and record.progress_at < moment
