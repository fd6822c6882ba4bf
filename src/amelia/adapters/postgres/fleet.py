"""The fleet's stream: every workflow's events in one order that never changes once it has been read.

An event's place is (``txid``, ``row_id``). Only what lies below the oldest transaction still open is read: nothing can
be added there any more, so a slow commit holds readers up instead of being skipped. Reading needs no transaction id, so
readers hold nobody up; a prepared or forgotten transaction that has written does, and ``lag_seconds`` says so.
"""

from ...ports.journal import Cursor, FleetEvent, FleetPage
from .pool import Pool, unavailable

_PAGE_BYTES = 1_000_000
_PAGE = """
WITH head AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin),
late AS MATERIALIZED (
    SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 AS seconds
    FROM event WHERE txid >= (SELECT xmin FROM head) ORDER BY txid, row_id LIMIT 1
)
SELECT h.xmin::text::bigint AS xmin, coalesce((SELECT seconds FROM late), 0) AS lag, e.*, w.repository, w.team, w.status
FROM head h
LEFT JOIN LATERAL (
    SELECT *, sum(length) OVER (ORDER BY txid, row_id) - length AS before, count(*) OVER () AS found FROM (
        SELECT txid, row_id, workflow_id, sequence, type, body, octet_length(body) AS length FROM event
        WHERE (txid, row_id) > ($1::text::xid8, $2::bigint) AND txid < h.xmin ORDER BY txid, row_id LIMIT $3
    ) readable
) e ON e.before < $4
LEFT JOIN workflow w ON w.id = e.workflow_id
ORDER BY e.txid, e.row_id
"""
_NOW = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


async def read(pool: Pool, after: Cursor | None, limit: int) -> FleetPage:
    """See ``ports.journal.Journal.fleet_events``. A page holds one event, or 1 MB and at most one event more."""
    if after is None:
        async with unavailable():
            return FleetPage(items=(), cursor=(await pool.fetchval(_NOW), 0), complete=True)
    async with unavailable():
        records = await pool.fetch(_PAGE, str(after[0]), after[1], limit, _PAGE_BYTES)
    first = records[0]
    items = tuple(
        FleetEvent(
            (int(str(r["txid"])), r["row_id"]),
            r["workflow_id"],
            r["sequence"],
            r["type"],
            r["body"],
            r["repository"] or "",
            r["team"] or "",
            r["status"] or "",
        )
        for r in records
        if r["workflow_id"] is not None
    )
    complete = not items or (first["found"] == len(items) < limit)
    cursor = max(after, (first["xmin"], 0)) if complete else items[-1].place
    return FleetPage(items=items, cursor=cursor, complete=complete, lag_seconds=max(first["lag"], 0.0))
