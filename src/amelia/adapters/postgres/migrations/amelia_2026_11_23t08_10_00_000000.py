"""The fleet's order keeps each workflow's own."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-23T08:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the fleet's order keeps each workflow's own"

# A transaction gets its id with the first row it locks and may then wait for a second, which a younger transaction
# still changes: its own id would put the later event first. The id of the youngest transaction that has ended is no
# smaller than that one's, and never above one that a reader below pg_snapshot_xmin could already have passed.
DDL = """
ALTER TABLE event ALTER COLUMN txid SET DEFAULT greatest(
    pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8
)
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def alter() -> None:
        await WorkflowRow.raw(DDL)

    manager.add_raw(alter)
    return manager
