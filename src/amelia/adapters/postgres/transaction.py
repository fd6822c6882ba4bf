"""The one transaction that changes workflows: a batch of changes under row locks, in a fixed number of statements."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...contract import codec
from ...domain.effects import Change, Effects, Seen
from ...domain.place import allowance, holds_place, paths
from ...domain.timers import next_wake
from ...domain.workflow import Workflow, total
from ...ports.journal import Row

_decode_state = msgspec.json.Decoder(Workflow).decode
_encode = msgspec.json.Encoder().encode


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when the change's command had been executed before."""

    row: Row | None
    repeated: bool = False
    error: Exception | None = None


Connection = Any  # asyncpg's pool hands out a proxy with the methods of a connection

_LOCK = """
SELECT clock_timestamp() AS now, lease_until < now() AS expired, w.* FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT id, state, lease_until, gap_since, created_at, updated_at
    FROM workflow WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
) w ON true
"""
_SEEN_COMMANDS = "SELECT id, fingerprint FROM command WHERE id = ANY($1::text[])"
_WAITING = "SELECT workflow_id, body FROM held_event WHERE kind = 'early' AND workflow_id = ANY($1::text[])"
_EVENTS = """
INSERT INTO event (workflow_id, sequence, id, type, body)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
"""
_ROWS = """
INSERT INTO workflow AS w
    (id, team, owner, status, repository, epoch, sequence, state, lease_until, wake_at, gap_since, admitted, priority,
    title, queued_since, paths, admitted_at, progress_at, allowed_microdollars, allowed_tokens, spent_microdollars,
    spent_tokens)
SELECT u.id, u.team, u.owner, u.status, u.repository, u.epoch, u.sequence, u.state,
    CASE WHEN u.renew THEN clock_timestamp() + make_interval(secs => $11) WHEN u.is_open THEN '-infinity' END,
    u.wake_at, CASE WHEN u.behind THEN now() END, u.admitted, u.priority, u.title, CASE WHEN u.queued THEN now() END,
    string_to_array(u.paths, E'\\x1f'), CASE WHEN u.holds THEN now() END,
    CASE WHEN u.progress THEN now() END, u.allowed_microdollars, u.allowed_tokens, u.spent_microdollars, u.spent_tokens
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[], $8::text[],
    $9::timestamptz[], $10::bool[], $12::bool[], $13::bool[], $14::bool[], $15::int[], $16::text[], $17::bool[],
    $18::text[], $19::bool[], $20::bool[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
    AS u(id, team, owner, status, repository, epoch, sequence, state, wake_at, renew, is_open, behind, admitted,
    priority, title, queued, paths, holds, progress, allowed_microdollars, allowed_tokens, spent_microdollars,
    spent_tokens)
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, epoch = excluded.epoch, sequence = excluded.sequence, state = excluded.state,
    wake_at = excluded.wake_at,
    lease_until = CASE WHEN excluded.lease_until IS NOT NULL THEN greatest(w.lease_until, excluded.lease_until) END,
    gap_since = CASE WHEN excluded.gap_since IS NULL THEN NULL
        WHEN w.sequence = excluded.sequence THEN coalesce(w.gap_since, excluded.gap_since) ELSE excluded.gap_since END,
    updated_at = CASE WHEN w.sequence = excluded.sequence THEN w.updated_at ELSE now() END,
    admitted = excluded.admitted, priority = excluded.priority, paths = excluded.paths,
    queued_since = CASE WHEN excluded.queued_since IS NOT NULL THEN coalesce(w.queued_since, excluded.queued_since) END,
    admitted_at = CASE WHEN w.status = 'in_progress' OR (w.status = 'pending' AND w.admitted) THEN w.admitted_at
        ELSE coalesce(excluded.admitted_at, w.admitted_at) END,
    released_at = CASE WHEN excluded.admitted_at IS NOT NULL THEN NULL
        WHEN w.status = 'in_progress' OR (w.status = 'pending' AND w.admitted) THEN now() ELSE w.released_at END,
    progress_at = coalesce(excluded.progress_at, w.progress_at),
    allowed_microdollars = excluded.allowed_microdollars, allowed_tokens = excluded.allowed_tokens,
    spent_microdollars = excluded.spent_microdollars, spent_tokens = excluded.spent_tokens
RETURNING id, lease_until, gap_since, created_at, updated_at
"""
_SIGNS_OF_LIFE = """
UPDATE workflow w SET
    lease_until = CASE WHEN u.renew THEN greatest(w.lease_until, clock_timestamp() + make_interval(secs => $2))
        ELSE w.lease_until END,
    gap_since = CASE WHEN u.behind THEN coalesce(w.gap_since, now()) END
FROM unnest($1::text[], $3::bool[], $4::bool[]) AS u(id, renew, behind) WHERE w.id = u.id
RETURNING w.id, w.lease_until, w.gap_since, w.created_at, w.updated_at
"""
_UNHOLD = "DELETE FROM held_event WHERE kind = 'early' AND workflow_id = ANY($1::text[])"
_HOLD = """
INSERT INTO held_event (workflow_id, kind, attempt, fact, ordinal, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[]) ON CONFLICT DO NOTHING
"""
_OUTBOX = """
INSERT INTO outbox (id, destination, workflow_id, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
"""
_EXECUTED = """
INSERT INTO command (id, workflow_id, type, actor, fingerprint)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
"""
_SETTLE = "DELETE FROM outbox WHERE id = ANY($1::text[])"
NOTIFY_CHANNEL = "amelia_changes"
OUTBOX_CHANNEL = "amelia_outbox"
_NOTIFY = "SELECT pg_notify($1, line) FROM unnest($2::text[]) line"
_NOTIFY_BOTH = f"{_NOTIFY} UNION ALL SELECT pg_notify('{OUTBOX_CHANNEL}', '')"
_PAYLOAD_BYTES = 7_900
"""PostgreSQL refuses a notification of 8,000 bytes."""


async def apply(connection: Connection, changes: Sequence[Change], lease_seconds: float) -> list[Changed]:
    """All of the changes or, when the transaction fails, none; a change whose ``compute`` raises is left out."""
    async with connection.transaction():
        seen, rows = await _look(connection, changes)
        working = {workflow_id: s.workflow for workflow_id, s in seen.items()}
        done: list[tuple[Change, Effects]] = []
        errors: dict[int, Exception] = {}
        repeated: set[int] = set()
        fingerprints = await _fingerprints(connection, changes)
        for index, change in enumerate(changes):
            view = msgspec.structs.replace(
                seen[change.workflow_id],
                workflow=working[change.workflow_id],
                fingerprint=fingerprints.get(change.command_id),
            )
            if view.fingerprint is not None:
                repeated.add(index)
            try:
                effects = change.compute(view)
            except Exception as error:
                errors[index] = error
                continue
            if effects is not None:
                working[change.workflow_id] = effects.workflow
                done.append((change, effects))
                if effects.executed is not None:
                    fingerprints[change.command_id] = effects.executed.fingerprint
        written = await _write(connection, done, lease_seconds)
    return [
        Changed(
            row=_row(working[c.workflow_id], written.get(c.workflow_id) or rows.get(c.workflow_id)),
            repeated=i in repeated,
            error=errors.get(i),
        )
        for i, c in enumerate(changes)
    ]


def _row(workflow: Workflow | None, record: Any) -> Row | None:
    if workflow is None or record is None:
        return None
    return Row(
        workflow=workflow,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        lease_until=record["lease_until"],
        behind=record["gap_since"] is not None,
    )


async def _look(connection: Connection, changes: Sequence[Change]) -> tuple[dict[str, Seen], dict[str, Any]]:
    ids = sorted({change.workflow_id for change in changes})
    records = await connection.fetch(_LOCK, list(filter(storable, ids)))
    now = timestamp(records[0]["now"])
    rows = {record["id"]: record for record in records if record["id"] is not None}
    waiting: dict[str, list[str]] = {}
    behind = [workflow_id for workflow_id, record in rows.items() if record["gap_since"] is not None]
    if behind:
        for record in await connection.fetch(_WAITING, behind):
            waiting.setdefault(record["workflow_id"], []).append(record["body"])
    seen = {
        workflow_id: Seen(
            now=now,
            workflow=_decode_state(rows[workflow_id]["state"]) if workflow_id in rows else None,
            lease_expired=workflow_id in rows and bool(rows[workflow_id]["expired"]),
            waiting=tuple(waiting.get(workflow_id, ())),
        )
        for workflow_id in ids
    }
    return seen, rows


async def _fingerprints(connection: Connection, changes: Sequence[Change]) -> dict[str, str]:
    ids = [change.command_id for change in changes if change.command_id]
    if not ids:
        return {}
    return {record["id"]: record["fingerprint"] for record in await connection.fetch(_SEEN_COMMANDS, ids)}


async def _write(
    connection: Connection, done: Sequence[tuple[Change, Effects]], lease_seconds: float
) -> dict[str, Any]:
    if not done:
        return {}
    events = [
        (c.workflow_id, sequence, _text(id_), _text(kind), body)
        for c, x in done
        for sequence, id_, kind, body in x.events
    ]
    if events:
        await connection.execute(_EVENTS, *_columns(events, 5))
    written = await _write_rows(connection, done, lease_seconds)
    await _write_held(connection, done)
    outbox = [(m.id, "commands", m.workflow_id, codec.encode(m).decode()) for _, x in done for m in x.commands]
    outbox += [(m.id, "bus", m.workflow_id, codec.encode(m).decode()) for _, x in done for m in x.publish]
    if outbox:
        await connection.execute(_OUTBOX, *_columns(outbox, 4))
    ordered = [x.executed for _, x in done if x.executed is not None]
    if ordered:
        rows = [
            (o.command.id, o.command.workflow_id, codec.type_of(o.command), o.command.actor, o.fingerprint)
            for o in ordered
        ]
        await connection.execute(_EXECUTED, *_columns(rows, 5))
    settles = [outbox_id for _, x in done for outbox_id in x.settles]
    if settles:
        await connection.execute(_SETTLE, settles)
    if events or outbox:
        reached = {c.workflow_id: x.workflow.sequence for c, x in done if x.events}
        await connection.execute(_NOTIFY_BOTH if outbox else _NOTIFY, NOTIFY_CHANNEL, _lines(reached))
    return written


async def _write_rows(
    connection: Connection, done: Sequence[tuple[Change, Effects]], lease_seconds: float
) -> dict[str, Any]:
    last = {change.workflow_id: effects for change, effects in done}
    renewed = {change.workflow_id for change, effects in done if effects.renew}
    told = {change.workflow_id for change, effects in done if not effects.only_life}
    progressed = {change.workflow_id for change, effects in done if effects.progress}
    written = await _write_signs_of_life(connection, [x for w, x in last.items() if w not in told], lease_seconds)
    rows = [
        (
            w.id,
            w.team,
            w.owner,
            w.status,
            w.repository,
            w.epoch,
            w.sequence,
            _encode(w).decode(),
            _moment(next_wake(w)),
            w.open and w.id in renewed,
            w.open,
            x.behind,
            w.admitted,
            w.priority,
            _text(w.issue.title),
            w.queued,
            _joined(paths(w)),
            holds_place(w),
            w.id in progressed,
            allowance(w).microdollars,
            allowance(w).tokens,
            total(w.spent).cost_microdollars,
            total(w.spent).tokens,
        )
        for w, x in ((effects.workflow, effects) for workflow_id, effects in last.items() if workflow_id in told)
    ]
    if rows:
        columns = _columns(rows, 23)
        records = await connection.fetch(_ROWS, *columns[:10], float(lease_seconds), *columns[10:])
        written |= {record["id"]: record for record in records}
    return written


async def _write_signs_of_life(
    connection: Connection, lives: Sequence[Effects], lease_seconds: float
) -> dict[str, Any]:
    """Heartbeats leave the state alone, which may be large."""
    if not lives:
        return {}
    columns = _columns([(x.workflow.id, x.renew and x.workflow.open, x.behind) for x in lives], 3)
    records = await connection.fetch(_SIGNS_OF_LIFE, columns[0], float(lease_seconds), *columns[1:])
    return {record["id"]: record for record in records}


async def _write_held(connection: Connection, done: Sequence[tuple[Change, Effects]]) -> None:
    replaced = [c.workflow_id for c, x in done if x.early is not None]
    if replaced:
        await connection.execute(_UNHOLD, replaced)
    early = {c.workflow_id: x.early for c, x in done if x.early is not None}
    held = [h for waiting in early.values() for h in waiting] + [h for _, x in done for h in x.kept]
    if held:
        rows = [(h.event.workflow_id, h.kind, h.event.attempt, h.event.fact, h.event.ordinal, h.body) for h in held]
        await connection.execute(_HOLD, *_columns(rows, 6))


def storable(workflow_id: str) -> bool:
    """PostgreSQL's text holds no NUL, so there is no workflow of such a name."""
    return "\0" not in workflow_id


def _moment(time: str) -> datetime | None:
    return datetime.fromisoformat(time) if time else None


def _text(value: str) -> str:
    """PostgreSQL's text holds no NUL; in a body it is escaped already."""
    return value.replace("\0", "\\u0000")


def _joined(files: tuple[str, ...] | None) -> str | None:
    return None if files is None else "\x1f".join(map(_text, files))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[i] for row in rows] for i in range(width)]


def _lines(reached: dict[str, int]) -> list[str]:
    """``workflow:sequence`` pairs, as many to a notification as it holds."""
    lines, line = list[str](), ""
    for workflow_id, sequence in reached.items():
        pair = f"{workflow_id}:{sequence}"
        if line and len(line) + len(pair) + 1 > _PAYLOAD_BYTES:
            lines.append(line)
            line = ""
        line = f"{line},{pair}" if line else pair
    return [*lines, line] if line else lines


def timestamp(moment: datetime) -> str:
    """UTC, ISO 8601 with milliseconds and a Z: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
