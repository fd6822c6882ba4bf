"""Dead letters: what consumers gave up, until somebody sends it again or gives it up too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...domain.burials import Grave, grave
from ...errors import Conflict, NotFound, Refused
from ...ports.journal import Burial, DeadLetter
from .pool import Pool, taken
from .statements import OUTBOX_CHANNEL

_FIELDS = """
    id, source, message_id, workflow_id, type, cause, receives, intact, first_at, last_at, state, decided_by, sender
"""
_BURY = """
INSERT INTO dead_letter AS d (id, source, message_id, workflow_id, type, cause, receives, body, intact, sender)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[],
    $9::bool[], $10::text[])
ON CONFLICT (id) DO UPDATE SET cause = excluded.cause, last_at = now(), state = 'waiting',
    before = CASE WHEN d.state = 'redriven' THEN d.receives ELSE d.before END,
    receives = CASE WHEN d.state = 'redriven' THEN d.receives + excluded.receives
        ELSE d.before + greatest(d.receives - d.before, excluded.receives) END
"""
_LET_GO = "DELETE FROM outbox WHERE destination = 'commands' AND id = ANY($1::text[])"
_LET_GO_ORDERS = """
DELETE FROM outbox o USING dead_letter d
WHERE d.source = 'ci' AND d.id = ANY($1::text[]) AND o.id = 'redrive/' || d.id || '/' || d.redrives
"""
_LIST = f"""
SELECT {_FIELDS}, '' AS body FROM dead_letter
WHERE ($1 = '' OR state = $1) AND ($2::timestamptz IS NULL OR (last_at, id) < ($2, $3))
ORDER BY last_at DESC, id DESC LIMIT $4
"""  # noqa: S608 - names of ours
_ONE = f"SELECT {_FIELDS}, body FROM dead_letter WHERE id = $1"  # noqa: S608 - names of ours
_THESE = f"SELECT {_FIELDS}, body FROM dead_letter WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"  # noqa: S608
_DECIDE = f"""
UPDATE dead_letter SET state = $2, decided_by = $3, redrives = redrives + CASE WHEN $2 = 'redriven' THEN 1 ELSE 0 END
WHERE id = ANY($1::text[]) RETURNING {_FIELDS}, body
"""  # noqa: S608 - names of ours
_SEND = """
INSERT INTO outbox (id, destination, workflow_id, body, once, sender)
SELECT 'redrive/' || id || '/' || redrives, source, workflow_id, body, true, sender FROM dead_letter
WHERE id = ANY($1::text[])
ON CONFLICT DO NOTHING
"""
_WAKE = f"SELECT pg_notify('{OUTBOX_CHANNEL}', 'commands:0,events:0,ci:0')"


async def bury(pool: Pool, burials: Sequence[Burial]) -> None:
    graves = {one.id: one for one in (_added(burials))}
    if not graves:
        return
    rows = [_columns(one) for _, one in sorted(graves.items())]
    commands = [one.message_id for one in graves.values() if one.source == "commands"]
    orders = [one.id for one in graves.values() if one.source == "ci"]
    async with taken(pool) as connection, connection.transaction():
        await connection.execute(_BURY, *([row[i] for row in rows] for i in range(10)))
        if commands:
            await connection.execute(_LET_GO, commands)
        if orders:
            await connection.execute(_LET_GO_ORDERS, orders)


def _added(burials: Sequence[Burial]) -> list[Grave]:
    """A row cannot be changed twice by one statement; of the same body twice, the later cause stays."""
    return [grave(one.source, one.queue_id, one.body, one.cause, one.receives, one.sender) for one in burials]


def _columns(one: Grave) -> tuple[Any, ...]:
    return (
        *(one.id, one.source, one.message_id, one.workflow_id, one.type),
        *(one.cause, one.receives, one.body, one.intact, one.sender),
    )


async def listed(pool: Pool, state: str, before: tuple[datetime, str] | None, limit: int) -> list[DeadLetter]:
    moment, last_id = before or (None, "")
    async with taken(pool) as connection:
        return [DeadLetter(**dict(r)) for r in await connection.fetch(_LIST, state, moment, last_id, limit)]


async def one(pool: Pool, dead_letter_id: str) -> DeadLetter | None:
    if "\0" in dead_letter_id:
        return None
    async with taken(pool) as connection:
        record = await connection.fetchrow(_ONE, dead_letter_id)
    return None if record is None else DeadLetter(**dict(record))


async def decide(pool: Pool, ids: Sequence[str], by: str, *, again: bool) -> list[DeadLetter | Refused]:
    """Redriven (``again``) or discarded, each that may be; what is sent goes into the outbox with it."""
    state = "redriven" if again else "discarded"
    async with taken(pool) as connection, connection.transaction():
        records = await connection.fetch(_THESE, sorted({id_ for id_ in ids if "\0" not in id_}))
        found = {record["id"]: DeadLetter(**dict(record)) for record in records}
        refused = {id_: refusal for id_ in ids if (refusal := _refusal(id_, found.get(id_), again)) is not None}
        chosen = [id_ for id_ in found if id_ not in refused]
        decided = await connection.fetch(_DECIDE, chosen, state, by) if chosen else []
        if chosen and again:
            await connection.execute(_SEND, chosen)
            await connection.execute(_WAKE)
    done = {record["id"]: DeadLetter(**dict(record)) for record in decided}
    return [refused[id_] if id_ in refused else done[id_] for id_ in ids]


def _refusal(id_: str, letter: DeadLetter | None, again: bool) -> Refused | None:
    if letter is None:
        return NotFound(f"there is no dead letter {id_}; amelia dead-letters list shows those there are")
    if letter.state != "waiting":
        return Conflict(f"dead letter {id_} is {letter.state}; only those that wait can be redriven or discarded")
    if again and not letter.intact:
        return Conflict(f"dead letter {id_} holds characters that no queue takes; discard it")
    return None
