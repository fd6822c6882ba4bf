"""The SQL of the transaction that changes workflows. Each statement takes a batch, as one array for each column."""

from .row import COLUMNS

LOCK = """
SELECT clock_timestamp() AS now, lease_until < now() AS expired,
    extract(epoch FROM now() - progress_at)::float8 AS idle, w.*
FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT id, state, lease_until, gap_since, progress_at, said_attempt, said_fact, said_ordinal, created_at, updated_at
    FROM workflow WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
) w ON true
"""
SEEN_COMMANDS = "SELECT id, fingerprint, answer FROM command WHERE id = ANY($1::text[])"
WAITING = """
SELECT workflow_id, count(*) OVER (PARTITION BY workflow_id) AS held, body
FROM held_event WHERE kind = 'early' AND workflow_id = ANY($1::text[])
UNION ALL
SELECT workflow_id, count(*), NULL FROM held_event WHERE kind = 'early' AND workflow_id = ANY($2::text[]) GROUP BY 1
"""
"""The early events of the first, and of the second only how many there are."""
EVENTS = """
INSERT INTO event (workflow_id, sequence, id, type, body)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
"""
_HELD_PLACE = "(w.status = 'in_progress' OR (w.status = 'pending' AND w.admitted))"
ROWS = f"""
INSERT INTO workflow AS w
    (id, team, owner, status, repository, epoch, sequence, state, lease_until, wake_at, gap_since, admitted, priority,
    title, queued_since, paths, admitted_at, progress_at, allowed_microdollars, allowed_tokens, spent_microdollars,
    spent_tokens, said_attempt, said_fact, said_ordinal)
SELECT u.id, u.team, u.owner, u.status, u.repository, u.epoch, u.sequence, u.state,
    CASE WHEN u.renew THEN clock_timestamp() + make_interval(secs => $1) WHEN u.is_open THEN '-infinity' END,
    u.wake_at, CASE WHEN u.behind THEN now() END, u.admitted, u.priority, u.title, CASE WHEN u.queued THEN now() END,
    string_to_array(u.paths, E'\\x1f'), CASE WHEN u.holds THEN now() END, CASE WHEN u.progress THEN now() END,
    u.allowed_microdollars, u.allowed_tokens, u.spent_microdollars, u.spent_tokens,
    u.said_attempt, u.said_fact, u.said_ordinal
FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(COLUMNS.values(), 2))}) AS u({", ".join(COLUMNS)})
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, epoch = excluded.epoch, sequence = excluded.sequence, state = excluded.state,
    wake_at = excluded.wake_at,
    lease_until = CASE WHEN excluded.lease_until IS NOT NULL THEN greatest(w.lease_until, excluded.lease_until) END,
    gap_since = CASE WHEN excluded.gap_since IS NULL THEN NULL
        WHEN w.sequence = excluded.sequence THEN coalesce(w.gap_since, excluded.gap_since) ELSE excluded.gap_since END,
    updated_at = CASE WHEN w.sequence = excluded.sequence THEN w.updated_at ELSE now() END,
    admitted = excluded.admitted, priority = excluded.priority, paths = excluded.paths,
    queued_since = CASE WHEN excluded.queued_since IS NOT NULL THEN coalesce(w.queued_since, excluded.queued_since) END,
    admitted_at = CASE WHEN {_HELD_PLACE} THEN w.admitted_at ELSE coalesce(excluded.admitted_at, w.admitted_at) END,
    released_at = CASE WHEN excluded.admitted_at IS NOT NULL THEN NULL
        WHEN {_HELD_PLACE} THEN now() ELSE w.released_at END,
    progress_at = coalesce(excluded.progress_at, w.progress_at),
    allowed_microdollars = excluded.allowed_microdollars, allowed_tokens = excluded.allowed_tokens,
    spent_microdollars = excluded.spent_microdollars, spent_tokens = excluded.spent_tokens,
    said_attempt = excluded.said_attempt, said_fact = excluded.said_fact, said_ordinal = excluded.said_ordinal
RETURNING id, lease_until, gap_since, created_at, updated_at
"""  # noqa: S608 - names of ours
SIGNS_OF_LIFE = """
UPDATE workflow w SET
    lease_until = CASE WHEN u.renew THEN greatest(w.lease_until, clock_timestamp() + make_interval(secs => $1))
        ELSE w.lease_until END,
    gap_since = CASE WHEN u.behind THEN coalesce(w.gap_since, now()) END,
    said_attempt = u.said_attempt, said_fact = u.said_fact, said_ordinal = u.said_ordinal
FROM unnest($2::text[], $3::bool[], $4::bool[], $5::int[], $6::int[], $7::int[])
    AS u(id, renew, behind, said_attempt, said_fact, said_ordinal) WHERE w.id = u.id
RETURNING w.id, w.lease_until, w.gap_since, w.created_at, w.updated_at
"""
UNHOLD = """
DELETE FROM held_event h USING unnest($1::text[], $2::int[], $3::int[], $4::int[]) AS u(id, attempt, fact, ordinal)
WHERE h.workflow_id = u.id AND h.kind = 'early' AND h.attempt = u.attempt AND h.fact = u.fact AND h.ordinal = u.ordinal
"""
HOLD = """
INSERT INTO held_event (workflow_id, kind, attempt, fact, ordinal, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[]) ON CONFLICT DO NOTHING
"""
OUTBOX = """
INSERT INTO outbox (id, destination, workflow_id, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
"""
EXECUTED = """
INSERT INTO command (id, workflow_id, type, actor, fingerprint, answer)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
"""
SETTLE = "DELETE FROM outbox WHERE id = ANY($1::text[])"
SPENDING = """
INSERT INTO spending AS s (team, owner, month, microdollars, tokens)
SELECT u.team, u.owner, date_trunc('month', now() AT TIME ZONE 'UTC')::date, u.microdollars, u.tokens
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS u(team, owner, microdollars, tokens)
ON CONFLICT (team, owner, month) DO UPDATE
    SET microdollars = s.microdollars + excluded.microdollars, tokens = s.tokens + excluded.tokens
"""
BLAMED = "INSERT INTO repository_failure (repository, cause) SELECT * FROM unnest($1::text[], $2::text[])"
LEARNING = """
SELECT pg_advisory_xact_lock(place) FROM (
    SELECT DISTINCT hashtextextended('lesson/' || team || '/' || repository, 0) AS place
    FROM unnest($1::text[], $2::text[]) AS u(team, repository) ORDER BY place
) o
"""
"""One at a time for each repository: what makes room is whatever is oldest, in no order that others keep."""
LEARNT = """
INSERT INTO lesson AS l (id, team, repository, topic, text, workflow_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (id) DO UPDATE SET learnt_at = excluded.learnt_at, workflow_id = excluded.workflow_id
"""
UNLEARNT = """
DELETE FROM lesson l USING (
    SELECT id, row_number() OVER (PARTITION BY team, repository ORDER BY learnt_at DESC, id) AS place
    FROM lesson WHERE (team, repository) IN (SELECT * FROM unnest($1::text[], $2::text[]))
) o WHERE l.id = o.id AND o.place > $3
"""
NOTIFY_CHANNEL = "amelia_changes"
OUTBOX_CHANNEL = "amelia_outbox"
NOTIFY = "SELECT pg_notify($1, line) FROM unnest($2::text[]) line"
NOTIFY_BOTH = f"{NOTIFY} UNION ALL SELECT pg_notify('{OUTBOX_CHANNEL}', $3)"
