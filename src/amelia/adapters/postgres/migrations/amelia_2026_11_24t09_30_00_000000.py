"""What a workflow may spend and has spent, as columns: admission reads them of all that run and wait."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-24T09:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "what a workflow may spend and has spent"

DDL = """
ALTER TABLE workflow
    ADD COLUMN allowed_microdollars bigint NOT NULL DEFAULT 0,
    ADD COLUMN allowed_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN spent_microdollars bigint NOT NULL DEFAULT 0,
    ADD COLUMN spent_tokens bigint NOT NULL DEFAULT 0;
CREATE INDEX repository_failure_latest ON repository_failure (at DESC)
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def change() -> None:
        for statement in DDL.split(";\n"):
            await WorkflowRow.raw(statement)

    manager.add_raw(change)
    return manager
