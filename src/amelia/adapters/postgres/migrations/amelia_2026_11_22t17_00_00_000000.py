"""The journal: workflows, their events, what waits, what has to be sent, what was ordered."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-22T17:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the journal"

DDL = """
CREATE TABLE workflow (
    id text PRIMARY KEY,
    team text NOT NULL,
    owner text NOT NULL,
    status text NOT NULL,
    repository text NOT NULL,
    epoch integer NOT NULL,
    sequence bigint NOT NULL,
    lease_until timestamptz,
    wake_at timestamptz,
    gap_since timestamptz,
    state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX workflow_newest ON workflow (created_at DESC, id DESC);
CREATE INDEX workflow_newest_of_status ON workflow (status, created_at DESC, id DESC);
CREATE INDEX workflow_lease ON workflow (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX workflow_wake ON workflow (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX workflow_gap ON workflow (gap_since) WHERE gap_since IS NOT NULL;

-- (txid, row_id) read below pg_snapshot_xmin is the fleet-wide cursor: a slow commit is never skipped.
CREATE TABLE event (
    workflow_id text NOT NULL,
    sequence bigint NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    row_id bigint GENERATED ALWAYS AS IDENTITY,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    body text NOT NULL,
    PRIMARY KEY (workflow_id, sequence)
);
CREATE INDEX event_fleet_order ON event (txid, row_id);

-- kind: early (waits for what lies before it), stale (of an older attempt), late (had been declared missing)
CREATE TABLE held_event (
    workflow_id text NOT NULL,
    kind text NOT NULL,
    attempt integer NOT NULL,
    fact integer NOT NULL,
    ordinal integer NOT NULL,
    body text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, kind, attempt, fact, ordinal)
);

CREATE TABLE outbox (
    id text PRIMARY KEY,
    destination text NOT NULL,
    workflow_id text NOT NULL,
    body text NOT NULL,
    publishes integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON outbox (next_at);

CREATE TABLE command (
    id text PRIMARY KEY,
    workflow_id text NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    fingerprint text NOT NULL,
    executed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE consumer (
    name text PRIMARY KEY,
    drained_at timestamptz NOT NULL
);
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def create() -> None:
        for statement in DDL.split(";\n"):
            if statement.strip():
                await WorkflowRow.raw(statement)

    manager.add_raw(create)
    return manager
