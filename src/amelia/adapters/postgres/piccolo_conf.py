"""Read by Piccolo's own commands and by ``migrate``, and by nothing else: it looks at the environment."""

import os

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

DB = PostgresEngine(config={"dsn": os.environ.get("AMELIA_DATABASE_URL", "")}, log_queries=False)
APP_REGISTRY = AppRegistry(apps=["amelia.adapters.postgres.piccolo_app"])
