"""The outbox: claimed by whoever sends, and due again until it is settled."""

from collections.abc import Sequence
from typing import get_args

from ...ports.journal import Destination, Outgoing
from .pool import Pool, taken
from .statements import SETTLE

_DUE = """
WITH owed AS MATERIALIZED (
    SELECT FROM outbox WHERE destination = $3 AND publishes > 0 AND next_at <= now() LIMIT $1::int / 4
), fresh AS MATERIALIZED (
    SELECT id FROM outbox WHERE destination = $3 AND publishes = 0 AND next_at <= now()
    ORDER BY next_at LIMIT $1 - (SELECT count(*) FROM owed) FOR UPDATE SKIP LOCKED
), again AS MATERIALIZED (
    SELECT id FROM outbox WHERE destination = $3 AND publishes > 0 AND next_at <= now()
    ORDER BY next_at LIMIT $1 - (SELECT count(*) FROM fresh) FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET publishes = publishes + 1,
    next_at = now() + make_interval(secs => $2 * least(2 ^ least(publishes, 8), 16) * (0.75 + random() / 2))
WHERE id IN (SELECT id FROM fresh UNION ALL SELECT id FROM again)
RETURNING id, destination, workflow_id, body, publishes - 1 AS publishes, once, sender
"""
_UNSENT = """
UPDATE outbox SET publishes = greatest(publishes - 1, 0), next_at = now() + make_interval(secs => $2)
WHERE id = ANY($1::text[])
"""


async def due(pool: Pool, limit: int, resend_seconds: float, destination: Destination | None) -> list[Outgoing]:
    """See ``ports.journal.Journal.due``."""
    rows: list[Outgoing] = []
    async with taken(pool) as connection:
        for one in get_args(Destination) if destination is None else (destination,):
            if (room := limit - len(rows)) > 0:
                records = await connection.fetch(_DUE, room, float(resend_seconds), one)
                rows += [Outgoing(**dict(record)) for record in records]
    return rows


async def unsent(pool: Pool, ids: Sequence[str], after_seconds: float) -> None:
    async with taken(pool) as connection:
        await connection.execute(_UNSENT, list(ids), float(after_seconds))


async def settle(pool: Pool, ids: Sequence[str]) -> None:
    async with taken(pool) as connection:
        await connection.execute(SETTLE, list(ids))
