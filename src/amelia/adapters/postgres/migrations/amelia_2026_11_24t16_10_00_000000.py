"""What workflows learnt about a repository outlives them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from amelia.adapters.postgres.tables import WorkflowRow

ID = "2026-11-24T16:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "lessons about repositories"

DDL = """
CREATE TABLE lesson (
    id text PRIMARY KEY,
    team text NOT NULL,
    repository text NOT NULL,
    topic text NOT NULL,
    text text NOT NULL,
    workflow_id text NOT NULL,
    learnt_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX lesson_newest ON lesson (team, repository, learnt_at DESC, id)
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="amelia", description=DESCRIPTION)

    async def change() -> None:
        for statement in DDL.split(";\n"):
            if statement.strip():
                await WorkflowRow.raw(statement)

    manager.add_raw(change)
    return manager
