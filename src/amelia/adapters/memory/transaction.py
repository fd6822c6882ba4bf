"""One transaction: a batch of changes, computed from the tables and then written without a pause between.

What PostgreSQL does with locks follows here from the event loop: nothing else runs until the batch is in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from ...contract import codec
from ...domain import intake
from ...domain.draft import key
from ...domain.effects import Change, Effects, Seen
from ...domain.timers import next_wake
from ...domain.workflow import Workflow, total
from ...ports.journal import Destination, Row, Stored
from . import lessons
from .answers import answer, timestamp
from .tables import Failure, Ordered, Queued, Record, Tables, Told

Done = Sequence[tuple[Change, Effects]]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when the change's command had been executed before; ``answer`` is what it was answered with then."""

    row: Row | None
    repeated: bool = False
    answer: str = ""
    error: Exception | None = None


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction came to: ``reached`` are the workflows with new events and how far those go; ``ordered`` the
    destinations for which something was put into the outbox."""

    changed: list[Changed]
    reached: dict[str, int]
    ordered: frozenset[str] = frozenset()


def apply(tables: Tables, changes: Sequence[Change], now: datetime, lease_seconds: float) -> Written:
    """A change whose ``compute`` raises is left out and the others are made; any other error makes none of them."""
    seen = {change.workflow_id: _seen(tables, change.workflow_id, now) for change in changes}
    before = {workflow_id: one.workflow for workflow_id, one in seen.items()}
    done: list[tuple[Change, Effects]] = []
    known = {change.command_id: tables.commands[change.command_id] for change in changes if _is_known(tables, change)}
    errors, repeated = dict[int, Exception](), dict[int, str]()
    for index, change in enumerate(changes):
        view = _view(tables, change, seen[change.workflow_id])
        if change.command_id in known:
            repeated[index] = change.command_id
            view = msgspec.structs.replace(view, fingerprint=known[change.command_id].fingerprint)
        try:
            effects = change.compute(view)
        except Exception as error:
            errors[index] = error
            continue
        if effects is not None:
            done.append((change, effects))
            seen[change.workflow_id] = _after(seen[change.workflow_id], effects)
            if effects.executed is not None:
                known[change.command_id] = Ordered(fingerprint=effects.executed.fingerprint, answer="")
    ordered = _write(tables, done, seen, now, lease_seconds)
    _write_spending(tables, before, seen, now)
    _write_commands(tables, done)
    return Written(
        changed=[
            Changed(
                row=_row(tables, change.workflow_id),
                repeated=index in repeated,
                answer=tables.commands[repeated[index]].answer if index in repeated else "",
                error=errors.get(index),
            )
            for index, change in enumerate(changes)
        ],
        reached={c.workflow_id: x.workflow.sequence for c, x in done if x.events},
        ordered=ordered,
    )


def _is_known(tables: Tables, change: Change) -> bool:
    return bool(change.command_id) and change.command_id in tables.commands


def _seen(tables: Tables, workflow_id: str, now: datetime) -> Seen:
    record = tables.workflows.get(workflow_id)
    if record is None:
        return Seen(now=timestamp(now), workflow=None)
    idle = (now - record.progress_at).total_seconds() if record.progress_at else 0
    return Seen(
        now=timestamp(now),
        workflow=record.workflow,
        lease_expired=record.lease_until is not None and record.lease_until < now,
        idle_seconds=idle,
        said=record.said,
    )


def _view(tables: Tables, change: Change, seen: Seen) -> Seen:
    """With the early events, where the workflow was behind when the transaction began and the change reads them."""
    record = tables.workflows.get(change.workflow_id)
    if record is None or not intake.behind(record.workflow, record.said):
        return seen
    waiting = tables.waiting(change.workflow_id)
    read = waiting if change.reads_waiting(record.workflow) else ()
    return msgspec.structs.replace(seen, waiting=tuple(read), held=len(waiting))


def _after(seen: Seen, effects: Effects) -> Seen:
    """What the next change of the same workflow sees."""
    said = seen.said if effects.said is None else effects.said
    return msgspec.structs.replace(seen, workflow=effects.workflow, said=said)


def _row(tables: Tables, workflow_id: str) -> Row | None:
    record = tables.workflows.get(workflow_id)
    return record.row if record else None


def _write(tables: Tables, done: Done, seen: Mapping[str, Seen], now: datetime, lease_seconds: float) -> frozenset[str]:
    """The destinations of what was put into the outbox."""
    events = [(kind, Stored(c.workflow_id, n, body)) for c, x in done for n, _, kind, body in x.events]
    _refuse_doubles(tables, [stored for _, stored in events])
    tables.transactions += bool(done)
    for kind, stored in events:
        tables.events.setdefault(stored.workflow_id, []).append(stored)
        tables.told.append(Told((tables.transactions, len(tables.told) + 1), kind, stored))
    _write_rows(tables, done, seen, now, now + timedelta(seconds=lease_seconds))
    for change, effects in done:
        tables.unhold(change.workflow_id, effects.unheld)
    for held in (held for _, effects in done for held in effects.held):
        tables.hold(held.event.workflow_id, held.kind, key(held.event), held.body)
    outbox = [_queued(m.id, "commands", m.workflow_id, codec.encode(m), now) for _, x in done for m in x.commands]
    outbox += [_queued(m.id, "bus", m.workflow_id, codec.encode(m), now) for _, x in done for m in x.publish]
    outbox += [_queued(t.id, "tracker", t.workflow_id, msgspec.json.encode(t), now) for _, x in done for t in x.tells]
    for row in outbox:
        tables.outbox.setdefault(row.id, row)
    for settled in (id_ for _, x in done for id_ in x.settles):
        tables.outbox.pop(settled, None)
    for repository, cause in (blamed for _, x in done for blamed in x.blamed):
        tables.failures.append(Failure(repository=repository, at=now, cause=cause))
    lessons.learn(tables, now, [one for _, x in done for one in x.learnt])
    return frozenset(row.destination for row in outbox)


def _queued(id_: str, destination: Destination, workflow_id: str, body: bytes, now: datetime) -> Queued:
    return Queued(id=id_, destination=destination, workflow_id=workflow_id, body=body.decode(), next_at=now)


def _refuse_doubles(tables: Tables, fresh: Sequence[Stored]) -> None:
    """The key of the events is the workflow and the sequence."""
    last = {w: tables.events[w][-1].sequence if tables.events.get(w) else 0 for w in {x.workflow_id for x in fresh}}
    for one in fresh:
        if one.sequence <= last[one.workflow_id]:
            raise ValueError(f"{one.workflow_id} has an event {one.sequence} already")
        last[one.workflow_id] = one.sequence


def _write_rows(tables: Tables, done: Done, seen: Mapping[str, Seen], now: datetime, lease: datetime) -> None:
    """Signs of life alone leave all but the lease and what was said."""
    told = {c.workflow_id for c, x in done if not x.only_life}
    renewed = {c.workflow_id for c, x in done if x.renew}
    progressed = {c.workflow_id for c, x in done if x.progress}
    for workflow_id in dict.fromkeys(c.workflow_id for c, _ in done):
        before, after = tables.workflows.get(workflow_id), seen[workflow_id]
        assert after.workflow is not None, "what was changed is there"
        renews = lease if workflow_id in renewed else None
        if workflow_id in told:
            tables.workflows[workflow_id] = _told(
                before, after, now, lease=renews, progress=now if workflow_id in progressed else None
            )
        elif before is not None:
            behind = intake.behind(after.workflow, after.said)
            tables.workflows[workflow_id] = msgspec.structs.replace(
                before,
                lease_until=_later(before.lease_until, renews) if after.workflow.open else before.lease_until,
                gap_since=(before.gap_since or now) if behind else None,
                said=after.said,
            )


def _told(
    before: Record | None, seen: Seen, now: datetime, *, lease: datetime | None, progress: datetime | None
) -> Record:
    w, old = seen.workflow, before or Record(workflow=seen.workflow, created_at=now, updated_at=now)  # type: ignore[arg-type]
    assert w is not None, "what was changed is there"
    still = before is not None and before.workflow.sequence == w.sequence
    held = before is not None and before.holds_place
    fresh = Record(workflow=w, created_at=old.created_at, updated_at=old.updated_at if still else now)
    admitted_at = old.admitted_at if held or not fresh.holds_place else now
    return msgspec.structs.replace(
        fresh,
        lease_until=_later(old.lease_until, lease) if w.open else None,
        wake_at=datetime.fromisoformat(wake) if (wake := next_wake(w)) else None,
        gap_since=((old.gap_since if still else None) or now) if intake.behind(w, seen.said) else None,
        said=seen.said,
        queued_since=(old.queued_since or now) if w.queued else None,
        admitted_at=admitted_at,
        released_at=None if fresh.holds_place else now if held else old.released_at,
        progress_at=progress or old.progress_at,
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((x for x in (one, other) if x is not None), default=None)


def _write_spending(
    tables: Tables, before: Mapping[str, Workflow | None], seen: Mapping[str, Seen], now: datetime
) -> None:
    """What was spent more, to its owner's month."""
    for workflow_id, was in before.items():
        w = seen[workflow_id].workflow
        if w is None or (was is not None and w.spent is was.spent):
            continue
        spent, known = total(w.spent), total(was.spent if was else {})
        month = (w.team, w.owner, f"{now:%Y-%m}")
        dollars, tokens = tables.spending.get(month, (0, 0))
        more = spent.cost_microdollars - known.cost_microdollars, spent.tokens - known.tokens
        if any(more):
            tables.spending[month] = (dollars + more[0], tokens + more[1])


def _write_commands(tables: Tables, done: Done) -> None:
    for executed in (x.executed for _, x in done if x.executed is not None):
        record = tables.workflows[executed.command.workflow_id]
        tables.commands[executed.command.id] = Ordered(fingerprint=executed.fingerprint, answer=answer(record.row))
