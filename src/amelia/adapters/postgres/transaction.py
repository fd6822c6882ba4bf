"""The one transaction that changes workflows: a batch of changes under row locks, in a fixed number of statements."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...contract import codec
from ...domain import intake
from ...domain.effects import Change, Effects, Seen
from ...domain.intake import Said
from ...domain.lessons import MOST
from ...domain.workflow import Workflow, total
from ...ports.journal import Row
from . import row as row_
from . import statements as sql
from .row import text, timestamp
from .statements import NOTIFY_CHANNEL, OUTBOX_CHANNEL

__all__ = ["NOTIFY_CHANNEL", "OUTBOX_CHANNEL", "Changed", "apply", "storable", "timestamp"]

_PAYLOAD_BYTES = 7_900
"""PostgreSQL refuses a notification of 8,000 bytes."""

Connection = Any  # asyncpg's pool hands out a proxy with the methods of a connection
Done = Sequence[tuple[Change, Effects]]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when the change's command had been executed before; ``answer`` is what it was answered with then."""

    row: Row | None
    repeated: bool = False
    answer: str = ""
    error: Exception | None = None


class _Known(msgspec.Struct):
    """Of a command that was executed: before, or earlier in this batch, where the answer is made at the end."""

    fingerprint: str
    answer: str = ""


async def apply(connection: Connection, changes: Sequence[Change], lease_seconds: float) -> list[Changed]:
    """All of the changes or, when the transaction fails, none; a change whose ``compute`` raises is left out."""
    async with connection.transaction():
        seen, records = await _look(connection, changes)
        known = await _commands(connection, changes)
        before = {workflow_id: s.workflow for workflow_id, s in seen.items()}
        done: list[tuple[Change, Effects]] = []
        errors: dict[int, Exception] = {}
        repeated: dict[int, _Known] = {}
        for index, change in enumerate(changes):
            view = seen[change.workflow_id]
            if change.command_id in known:
                repeated[index] = known[change.command_id]
                view = msgspec.structs.replace(view, fingerprint=repeated[index].fingerprint)
            try:
                effects = change.compute(view)
            except Exception as error:
                errors[index] = error
                continue
            if effects is not None:
                done.append((change, effects))
                seen[change.workflow_id] = _after(seen[change.workflow_id], effects)
                if effects.executed is not None:
                    known[change.command_id] = _Known(effects.executed.fingerprint)
        rows = await _write(connection, done, seen, records, lease_seconds)
        await _write_spending(connection, before, seen)
        await _write_answers(connection, done, rows, known)
    return [
        Changed(
            row=rows.get(change.workflow_id),
            repeated=i in repeated,
            answer=repeated[i].answer if i in repeated else "",
            error=errors.get(i),
        )
        for i, change in enumerate(changes)
    ]


def _after(seen: Seen, effects: Effects) -> Seen:
    """What the next change of the same workflow sees."""
    said = seen.said if effects.said is None else effects.said
    return msgspec.structs.replace(seen, workflow=effects.workflow, said=said)


async def _look(connection: Connection, changes: Sequence[Change]) -> tuple[dict[str, Seen], dict[str, Any]]:
    ids = sorted({change.workflow_id for change in changes})
    records = await connection.fetch(sql.LOCK, list(filter(storable, ids)))
    now = timestamp(records[0]["now"])
    rows = {record["id"]: record for record in records if record["id"] is not None}
    workflows = {id_: row_.decode_state(record["state"]) for id_, record in rows.items()}
    said = {id_: row_.said(record) for id_, record in rows.items()}
    waiting, held = await _waiting(connection, changes, workflows, said)
    seen = {
        id_: Seen(
            now=now,
            workflow=workflows.get(id_),
            lease_expired=id_ in rows and bool(rows[id_]["expired"]),
            idle_seconds=(rows[id_]["idle"] or 0) if id_ in rows else 0,
            said=said.get(id_, Said()),
            waiting=tuple(waiting.get(id_, ())),
            held=held.get(id_, 0),
        )
        for id_ in ids
    }
    return seen, rows


async def _waiting(
    connection: Connection, changes: Sequence[Change], workflows: Mapping[str, Workflow], said: Mapping[str, Said]
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """The bodies of early events where a change may move them, and how many there are of all that are behind."""
    bodies, held = dict[str, list[str]](), dict[str, int]()
    behind = {id_ for id_, w in workflows.items() if intake.behind(w, said[id_])}
    if behind:
        wanted = {
            c.workflow_id for c in changes if c.workflow_id in behind and c.reads_waiting(workflows[c.workflow_id])
        }
        for record in await connection.fetch(sql.WAITING, sorted(wanted), sorted(behind - wanted)):
            held[record["workflow_id"]] = record["held"]
            if record["body"] is not None:
                bodies.setdefault(record["workflow_id"], []).append(record["body"])
    return bodies, held


async def _commands(connection: Connection, changes: Sequence[Change]) -> dict[str, _Known]:
    ids = [change.command_id for change in changes if change.command_id]
    if not ids:
        return {}
    records = await connection.fetch(sql.SEEN_COMMANDS, ids)
    return {record["id"]: _Known(record["fingerprint"], record["answer"]) for record in records}


async def _write(
    connection: Connection, done: Done, seen: Mapping[str, Seen], records: Mapping[str, Any], lease_seconds: float
) -> dict[str, Row]:
    """The rows as they are afterwards, of all that were looked at."""
    events = [(c.workflow_id, n, text(id_), text(kind), body) for c, x in done for n, id_, kind, body in x.events]
    if events:
        await connection.execute(sql.EVENTS, *_columns(events, 5))
    written = await _write_rows(connection, done, seen, lease_seconds) if done else {}
    await _write_held(connection, done)
    outbox = [(m.id, "commands", m.workflow_id, codec.encode(m).decode()) for _, x in done for m in x.commands]
    outbox += [(m.id, "bus", m.workflow_id, codec.encode(m).decode()) for _, x in done for m in x.publish]
    outbox += [(t.id, "tracker", t.workflow_id, msgspec.json.encode(t).decode()) for _, x in done for t in x.tells]
    if outbox:
        await connection.execute(sql.OUTBOX, *_columns(outbox, 4))
    settles = [outbox_id for _, x in done for outbox_id in x.settles]
    if settles:
        await connection.execute(sql.SETTLE, settles)
    blamed = [(text(repository), text(cause)) for _, x in done for repository, cause in x.blamed]
    if blamed:
        await connection.execute(sql.BLAMED, *_columns(blamed, 2))
    await _write_lessons(connection, done)
    if events or outbox:
        reached = _lines({c.workflow_id: x.workflow.sequence for c, x in done if x.events})
        if outbox:
            wake = ",".join(f"{destination}:0" for destination in sorted({row[1] for row in outbox}))
            await connection.execute(sql.NOTIFY_BOTH, NOTIFY_CHANNEL, reached, wake)
        else:
            await connection.execute(sql.NOTIFY, NOTIFY_CHANNEL, reached)
    known = {**records, **written}
    return {id_: row_.row(s.workflow, known[id_]) for id_, s in seen.items() if s.workflow is not None and id_ in known}


async def _write_lessons(connection: Connection, done: Done) -> None:
    """Places in one order, so that nobody waits in a circle."""
    learnt = {one.id: one for _, x in done for one in x.learnt}
    if learnt:
        rows = [tuple(map(text, msgspec.structs.astuple(one))) for _, one in sorted(learnt.items())]
        places = sorted({(row[1], row[2]) for row in rows})
        await connection.execute(sql.LEARNING, *_columns(places, 2))
        await connection.execute(sql.LEARNT, *_columns(rows, 6))
        await connection.execute(sql.UNLEARNT, *_columns(places, 2), MOST)


async def _write_rows(
    connection: Connection, done: Done, seen: Mapping[str, Seen], lease_seconds: float
) -> dict[str, Any]:
    """Signs of life alone leave the state as it is, which may be large."""
    told = {c.workflow_id for c, x in done if not x.only_life}
    alive = {c.workflow_id for c, x in done if x.only_life and (x.renew or x.said is not None)} - told
    renewed = {c.workflow_id for c, x in done if x.renew}
    progressed = {c.workflow_id for c, x in done if x.progress}
    found: dict[str, Any] = {}
    if told:
        rows = []
        for id_ in sorted(told):
            w = seen[id_].workflow
            assert w is not None
            rows.append(row_.written(w, seen[id_].said, renew=id_ in renewed, progress=id_ in progressed))
        columns = _columns(rows, len(row_.COLUMNS))
        found = {r["id"]: r for r in await connection.fetch(sql.ROWS, float(lease_seconds), *columns)}
    if alive:
        signs = [_sign(seen[id_], id_ in renewed) for id_ in sorted(alive)]
        records = await connection.fetch(sql.SIGNS_OF_LIFE, float(lease_seconds), *_columns(signs, 6))
        found |= {r["id"]: r for r in records}
    return found


def _sign(seen: Seen, renew: bool) -> tuple[object, ...]:
    w, said = seen.workflow, seen.said
    assert w is not None
    return (w.id, renew and w.open, intake.behind(w, said), said.attempt, said.fact, said.ordinal)


async def _write_held(connection: Connection, done: Done) -> None:
    gone = [(c.workflow_id, *key) for c, x in done for key in x.unheld]
    if gone:
        await connection.execute(sql.UNHOLD, *_columns(gone, 4))
    held = [
        (h.event.workflow_id, h.kind, h.event.attempt, h.event.fact, h.event.ordinal, h.body)
        for _, x in done
        for h in x.held
    ]
    if held:
        await connection.execute(sql.HOLD, *_columns(held, 6))


async def _write_spending(
    connection: Connection, before: Mapping[str, Workflow | None], seen: Mapping[str, Seen]
) -> None:
    """What was spent more, to its owner's month. In one order, so that nobody waits in a circle."""
    more: dict[tuple[str, str], tuple[int, int]] = {}
    for id_, was in before.items():
        now = seen[id_].workflow
        if now is None or not now.spent or (was is not None and now.spent is was.spent):
            continue
        spent, known = total(now.spent), total(was.spent if was else {})
        dollars, tokens = more.get((now.team, now.owner), (0, 0))
        more[now.team, now.owner] = (
            dollars + spent.cost_microdollars - known.cost_microdollars,
            tokens + spent.tokens - known.tokens,
        )
    rows = [(team, owner, *amounts) for (team, owner), amounts in sorted(more.items()) if any(amounts)]
    if rows:
        await connection.execute(sql.SPENDING, *_columns(rows, 4))


async def _write_answers(
    connection: Connection, done: Done, rows: Mapping[str, Row], known: Mapping[str, _Known]
) -> None:
    executed = [x.executed for _, x in done if x.executed is not None]
    written = list[tuple[Any, ...]]()
    for one in executed:
        command = one.command
        known[command.id].answer = row_.answer(rows[command.workflow_id])
        kind = codec.type_of(command)
        written.append(
            (command.id, command.workflow_id, kind, command.actor, one.fingerprint, text(known[command.id].answer))
        )
    if written:
        await connection.execute(sql.EXECUTED, *_columns(written, 6))


def storable(workflow_id: str) -> bool:
    """PostgreSQL's text holds no NUL, so there is no workflow of such a name."""
    return "\0" not in workflow_id


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
