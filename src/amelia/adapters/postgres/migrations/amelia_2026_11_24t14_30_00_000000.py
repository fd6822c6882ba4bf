"""A workflow's artifacts, plans and spending are found without reading all that happened to it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-24T14:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "events that are asked for by type"

DDL = """
CREATE INDEX event_by_type ON event (workflow_id, type, sequence)
    WHERE type IN ('artifact_stored', 'tokens_used', 'workflow_blocked')
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def change() -> None:
        await WorkflowRow.raw(DDL)

    manager.add_raw(change)
    return manager
