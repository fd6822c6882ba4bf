from pathlib import Path

from piccolo.conf.apps import AppConfig

from .tables import CommandRow, OutboxRow, WorkflowRow

APP_CONFIG = AppConfig(
    app_name="amelia",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=[WorkflowRow, OutboxRow, CommandRow],
    migration_dependencies=[],
)
