"""Who waits and who runs, read from partial indexes: what has ended costs nothing."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg

from ...contract.workflow import Budget
from ...domain.crowd import Crowd, Limits, Owner, Quarantine, Running, Waiting
from .pool import Pool, unavailable
from .transaction import timestamp

_SLOT = "(status = 'in_progress' OR (status = 'pending' AND admitted))"
_TAKEN = f"SELECT count(*) FROM workflow WHERE {_SLOT}"  # noqa: S608 - ours
_RUNNING = f"""
SELECT now() AS now, r.* FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT id, owner, team, repository, paths,
        CASE WHEN allowed_microdollars > 0 THEN greatest(allowed_microdollars - spent_microdollars, 0) ELSE 0 END
            AS microdollars,
        CASE WHEN allowed_tokens > 0 THEN greatest(allowed_tokens - spent_tokens, 0) ELSE 0 END AS tokens
    FROM workflow WHERE {_SLOT}
) r ON true
"""  # noqa: S608 - ours
_WAITING = f"""
WITH slot AS MATERIALIZED (SELECT team, owner, repository FROM workflow WHERE {_SLOT}),
of_owner AS MATERIALIZED (SELECT team, owner, count(*) AS n FROM slot GROUP BY 1, 2),
full_repository AS MATERIALIZED (SELECT repository FROM slot GROUP BY 1 HAVING count(*) >= $4),
waiting AS (
    SELECT w.*, coalesce(o.n, 0) + row_number() OVER (
        PARTITION BY w.team, w.owner ORDER BY w.priority DESC, w.queued_since, w.id
    ) AS turn
    FROM workflow w LEFT JOIN of_owner o ON o.team = w.team AND o.owner = w.owner
    WHERE w.queued_since IS NOT NULL AND (NOT $2 OR (
        ($3 = 0 OR coalesce(o.n, 0) < $3)
        AND ($4 = 0 OR NOT EXISTS (SELECT FROM full_repository f WHERE f.repository = w.repository))
        AND NOT w.repository = ANY($5::text[])
    ))
),
ranked AS (
    SELECT id, owner, team, repository, title, priority, queued_since, paths, allowed_microdollars, allowed_tokens,
        spent_microdollars, spent_tokens,
        row_number() OVER (ORDER BY priority DESC, turn, queued_since, id) AS position, count(*) OVER () AS queued
    FROM waiting
)
SELECT * FROM ranked WHERE position <= $1 OR id = $6 ORDER BY position
"""  # noqa: S608 - ours
_QUARANTINE = """
SELECT repository, count(*) AS failures, (array_agg(cause ORDER BY at DESC))[1] AS cause,
    (array_agg(at ORDER BY at DESC))[$1] AS counted
FROM repository_failure WHERE at > now() - make_interval(secs => $2) GROUP BY repository HAVING count(*) >= $1
"""
_MONTHS = """
SELECT s.team, s.owner, s.microdollars, s.tokens
FROM unnest($1::text[], $2::text[]) AS o(team, owner)
JOIN spending s ON s.team = o.team AND s.owner = o.owner
    AND s.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
"""
_HELD = """
SELECT coalesce(avg(extract(epoch FROM released_at - admitted_at)), 0)::float8 FROM (
    SELECT released_at, admitted_at FROM workflow WHERE released_at IS NOT NULL ORDER BY released_at DESC LIMIT 50
) latest
"""


async def places_taken(pool: Pool) -> int:
    async with unavailable():
        return int(await pool.fetchval(_TAKEN))


async def read(pool: Pool, most: int, limits: Limits, *, runnable: bool, of: str) -> Crowd:
    """See ``ports.journal.Journal.crowd``. How long places were held is read for those who look, not for admission."""
    async with unavailable(), pool.acquire() as connection:
        running = await connection.fetch(_RUNNING)
        quarantine = await _quarantine(connection, limits)
        closed = [q.repository for q in quarantine]
        waiting = await connection.fetch(
            _WAITING, most, runnable, limits.user, limits.repository, closed, of.replace("\0", "")
        )
        months = await _months(connection, waiting, running) if limits.month else {}
        held = 0.0 if runnable else await connection.fetchval(_HELD)
    return Crowd(
        now=timestamp(running[0]["now"]),
        waiting=tuple(map(_waiting, waiting)),
        running=tuple(_running(record) for record in running if record["id"] is not None),
        quarantine=quarantine,
        months=months,
        slot_seconds=held,
        queued=waiting[0]["queued"] if waiting else 0,
    )


async def _quarantine(connection: Any, limits: Limits) -> tuple[Quarantine, ...]:
    if not limits.failures:
        return ()
    seconds = 60.0 * limits.failure_minutes
    return tuple(
        Quarantine(
            repository=record["repository"],
            until=_after(record["counted"], seconds),
            failures=record["failures"],
            cause=record["cause"],
        )
        for record in await connection.fetch(_QUARANTINE, limits.failures, seconds)
    )


async def _months(connection: Any, *known: Any) -> dict[Owner, Budget]:
    owners = {(record["team"], record["owner"]) for records in known for record in records if record["id"] is not None}
    teams, names = [team for team, _ in owners], [name for _, name in owners]
    return {
        (record["team"], record["owner"]): Budget(
            microdollars=max(record["microdollars"], 0), tokens=max(record["tokens"], 0)
        )
        for record in await connection.fetch(_MONTHS, teams, names)
    }


def _running(record: asyncpg.Record) -> Running:
    return Running(
        id=record["id"],
        owner=record["owner"],
        team=record["team"],
        repository=record["repository"],
        paths=_paths(record),
        reserved=Budget(microdollars=record["microdollars"], tokens=record["tokens"]),
    )


def _waiting(record: asyncpg.Record) -> Waiting:
    return Waiting(
        id=record["id"],
        owner=record["owner"],
        team=record["team"],
        repository=record["repository"],
        since=timestamp(record["queued_since"]),
        priority=record["priority"],
        paths=_paths(record),
        budget=Budget(microdollars=record["allowed_microdollars"], tokens=record["allowed_tokens"]),
        spent=Budget(microdollars=record["spent_microdollars"], tokens=record["spent_tokens"]),
        title=record["title"],
        position=record["position"],
    )


def _paths(record: asyncpg.Record) -> tuple[str, ...] | None:
    return None if record["paths"] is None else tuple(record["paths"])


def _after(moment: datetime, seconds: float) -> str:
    return timestamp(moment + timedelta(seconds=seconds))
