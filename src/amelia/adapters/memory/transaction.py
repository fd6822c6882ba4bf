"""One transaction: a batch of changes, computed from the tables and then written without a pause between.

What PostgreSQL does with locks follows here from the event loop: nothing else runs until the batch is in.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ...contract import codec
from ...domain.effects import Change, Effects, Seen
from ...domain.timers import next_wake
from ...domain.workflow import Workflow
from ...ports.journal import Destination, Row, Stored
from .tables import Queued, Record, Tables, Told


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when the change's command had been executed before."""

    row: Row | None
    repeated: bool = False
    error: Exception | None = None


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction came to: ``reached`` are the workflows with new events and how far those go."""

    changed: list[Changed]
    reached: dict[str, int]
    ordered: bool = False


def apply(tables: Tables, changes: Sequence[Change], now: datetime, lease_seconds: float) -> Written:
    """A change whose ``compute`` raises is left out and the others are made; any other error makes none of them."""
    working: dict[str, Workflow | None] = {}
    done: list[tuple[Change, Effects]] = []
    fingerprints = dict[str, str]()
    answers = list[tuple[bool, Exception | None]]()
    for change in changes:
        known = fingerprints.get(change.command_id, tables.commands.get(change.command_id))
        try:
            seen = _seen(tables, change, working, now)
            effects = change.compute(msgspec.structs.replace(seen, fingerprint=known))
        except Exception as error:
            answers.append((known is not None, error))
            continue
        answers.append((known is not None, None))
        if effects is not None:
            working[change.workflow_id] = effects.workflow
            done.append((change, effects))
            if effects.executed is not None:
                fingerprints[change.command_id] = effects.executed.fingerprint
    ordered = _write(tables, done, now, lease_seconds)
    tables.commands |= fingerprints
    return Written(
        changed=[
            Changed(row=_row(tables, change.workflow_id), repeated=repeated, error=error)
            for change, (repeated, error) in zip(changes, answers, strict=True)
        ],
        reached={c.workflow_id: x.workflow.sequence for c, x in done if x.events},
        ordered=ordered,
    )


def _seen(tables: Tables, change: Change, working: dict[str, Workflow | None], now: datetime) -> Seen:
    record = tables.workflows.get(change.workflow_id)
    if change.workflow_id not in working:
        working[change.workflow_id] = record.workflow if record else None
    behind = record is not None and record.gap_since is not None
    return Seen(
        now=timestamp(now),
        workflow=working[change.workflow_id],
        lease_expired=bool(record and record.lease_until and record.lease_until < now),
        waiting=tables.waiting(change.workflow_id) if behind else (),
    )


def _row(tables: Tables, workflow_id: str) -> Row | None:
    record = tables.workflows.get(workflow_id)
    return record.row if record else None


def _write(tables: Tables, done: Sequence[tuple[Change, Effects]], now: datetime, lease_seconds: float) -> bool:
    """True when something was put into the outbox."""
    events = [(kind, Stored(c.workflow_id, n, body)) for c, x in done for n, _, kind, body in x.events]
    _refuse_doubles(tables, [stored for _, stored in events])
    tables.transactions += bool(done)
    for kind, stored in events:
        tables.events.setdefault(stored.workflow_id, []).append(stored)
        tables.told.append(Told((tables.transactions, len(tables.told) + 1), kind, stored))
    _write_rows(tables, done, now, lease_seconds)
    _write_held(tables, done)
    outbox = [_queued(m.id, "commands", m.workflow_id, codec.encode(m), now) for _, x in done for m in x.commands]
    outbox += [_queued(m.id, "bus", m.workflow_id, codec.encode(m), now) for _, x in done for m in x.publish]
    for row in outbox:
        tables.outbox.setdefault(row.id, row)
    for settled in (id_ for _, x in done for id_ in x.settles):
        tables.outbox.pop(settled, None)
    return bool(outbox)


def _queued(id_: str, destination: Destination, workflow_id: str, body: bytes, now: datetime) -> Queued:
    return Queued(id=id_, destination=destination, workflow_id=workflow_id, body=body.decode(), next_at=now)


def _refuse_doubles(tables: Tables, fresh: Sequence[Stored]) -> None:
    """The key of the events is the workflow and the sequence."""
    last = {w: tables.events[w][-1].sequence if tables.events.get(w) else 0 for w in {x.workflow_id for x in fresh}}
    for one in fresh:
        if one.sequence <= last[one.workflow_id]:
            raise ValueError(f"{one.workflow_id} has an event {one.sequence} already")
        last[one.workflow_id] = one.sequence


def _write_rows(tables: Tables, done: Sequence[tuple[Change, Effects]], now: datetime, lease_seconds: float) -> None:
    """The last change of a workflow is its row; signs of life alone leave all but the lease and the gap."""
    lease = now + timedelta(seconds=lease_seconds)
    renewed = {change.workflow_id for change, effects in done if effects.renew}
    told = {change.workflow_id for change, effects in done if not effects.only_life}
    for workflow_id, effects in {change.workflow_id: effects for change, effects in done}.items():
        before = tables.workflows.get(workflow_id)
        if workflow_id in told:
            tables.workflows[workflow_id] = _told(before, effects, now, lease if workflow_id in renewed else None)
        elif before is not None:
            renews = effects.renew and effects.workflow.open
            tables.workflows[workflow_id] = msgspec.structs.replace(
                before,
                lease_until=_later(before.lease_until, lease) if renews else before.lease_until,
                gap_since=(before.gap_since or now) if effects.behind else None,
            )


def _told(before: Record | None, effects: Effects, now: datetime, lease: datetime | None) -> Record:
    w = effects.workflow
    still = before is not None and before.workflow.sequence == w.sequence
    known = before.gap_since if before and still else None
    return Record(
        workflow=w,
        created_at=before.created_at if before else now,
        updated_at=before.updated_at if before and still else now,
        lease_until=_later(before.lease_until if before else None, lease) if w.open else None,
        wake_at=datetime.fromisoformat(wake) if (wake := next_wake(w)) else None,
        gap_since=(known or now) if effects.behind else None,
    )


def _write_held(tables: Tables, done: Sequence[tuple[Change, Effects]]) -> None:
    replaced = {c.workflow_id: x.early for c, x in done if x.early is not None}
    for workflow_id, early in replaced.items():
        kept = {key: body for key, body in tables.held.get(workflow_id, {}).items() if key[0] != "early"}
        tables.held[workflow_id] = kept
        for held in early or ():
            kept.setdefault((held.kind, held.event.attempt, held.event.fact, held.event.ordinal), held.body)
    for held in (h for _, x in done for h in x.kept):
        there = tables.held.setdefault(held.event.workflow_id, {})
        there.setdefault((held.kind, held.event.attempt, held.event.fact, held.event.ordinal), held.body)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((x for x in (one, other) if x is not None), default=None)


def timestamp(moment: datetime) -> str:
    """UTC, ISO 8601 with milliseconds and a Z: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
