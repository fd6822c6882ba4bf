"""Who sent what was given up, so that an order of CI's can be taken again as theirs."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-24T10:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "senders of dead letters"

DDL = """
ALTER TABLE dead_letter ADD COLUMN sender text NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN sender text NOT NULL DEFAULT ''
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def change() -> None:
        for statement in DDL.split(";\n"):
            await WorkflowRow.raw(statement)

    manager.add_raw(change)
    return manager
