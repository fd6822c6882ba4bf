"""Turns, progress and spending as columns; answers of commands; dead letters; readers of a queue one by one."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-24T09:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "turns, progress, spending, answers, dead letters"

DDL = """
ALTER TABLE workflow
    ADD COLUMN admitted boolean NOT NULL DEFAULT false,
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN queued_since timestamptz,
    ADD COLUMN paths text[],
    ADD COLUMN admitted_at timestamptz,
    ADD COLUMN released_at timestamptz,
    ADD COLUMN progress_at timestamptz,
    ADD COLUMN said_attempt integer NOT NULL DEFAULT 0,
    ADD COLUMN said_fact integer NOT NULL DEFAULT 0,
    ADD COLUMN said_ordinal integer NOT NULL DEFAULT 0;
UPDATE workflow SET queued_since = CASE WHEN status IN ('pending', 'approved') AND wake_at IS NULL THEN updated_at END,
    admitted_at = CASE WHEN status = 'in_progress' THEN updated_at END,
    progress_at = CASE WHEN lease_until IS NOT NULL THEN now() END;
CREATE INDEX workflow_queued ON workflow (priority DESC, queued_since) WHERE queued_since IS NOT NULL;
CREATE INDEX workflow_slots ON workflow (owner, repository)
    WHERE status = 'in_progress' OR (status = 'pending' AND admitted);
CREATE INDEX workflow_released ON workflow (released_at) WHERE released_at IS NOT NULL;

CREATE TABLE spending (
    team text NOT NULL,
    owner text NOT NULL,
    month date NOT NULL,
    microdollars bigint NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (team, owner, month)
) WITH (fillfactor = 70);

CREATE TABLE repository_failure (
    repository text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    cause text NOT NULL
);
CREATE INDEX repository_failure_newest ON repository_failure (repository, at DESC);

ALTER TABLE command ADD COLUMN answer text NOT NULL DEFAULT '';

-- once: settled when it is sent, not by the outcome
ALTER TABLE outbox ADD COLUMN once boolean NOT NULL DEFAULT false;
DROP INDEX outbox_due;
CREATE INDEX outbox_fresh ON outbox (destination, next_at) WHERE publishes = 0;
CREATE INDEX outbox_again ON outbox (destination, next_at) WHERE publishes > 0;

ALTER TABLE consumer ADD COLUMN instance text NOT NULL DEFAULT '',
    ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE consumer DROP CONSTRAINT consumer_pkey;
ALTER TABLE consumer ADD PRIMARY KEY (name, instance);

-- intact: the body is as it came, so that it can be sent again; before: receives until it was last sent again
CREATE TABLE dead_letter (
    id text PRIMARY KEY,
    source text NOT NULL,
    message_id text NOT NULL,
    workflow_id text NOT NULL,
    type text NOT NULL,
    cause text NOT NULL,
    receives integer NOT NULL,
    before integer NOT NULL DEFAULT 0,
    redrives integer NOT NULL DEFAULT 0,
    body text NOT NULL,
    intact boolean NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting',
    decided_by text NOT NULL DEFAULT ''
);
CREATE INDEX dead_letter_newest ON dead_letter (state, last_at DESC, id DESC);
CREATE INDEX dead_letter_of_workflow ON dead_letter (workflow_id)
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def change() -> None:
        for statement in DDL.split(";\n"):
            if statement.strip():
                await WorkflowRow.raw(statement)

    manager.add_raw(change)
    return manager
