"""``python -m amelia.adapters.postgres.migrate``: brings the database of ``AMELIA_DATABASE_URL`` to this version.

Safe to run by several at once: an advisory lock lets one through at a time.
"""

import asyncio
import contextlib
import io
import os
import sys

import asyncpg

from ...errors import AmeliaError, Refused, Unavailable
from ...settings import load

_LOCK = 0x616D656C6961
"""Any number will do, as long as every migration takes the same: these are the letters of the name."""


async def migrate(database_url: str) -> str:
    """Returns what was done. Raises ``Unavailable`` when the database does not answer, ``Refused`` when a
    migration fails."""
    if not database_url:
        raise Refused(
            "no database is named: set AMELIA_DATABASE_URL, for example postgresql://user:password@host/amelia"
        )
    try:
        guard = await asyncpg.connect(database_url, timeout=10, command_timeout=120)
    except (OSError, OverflowError, asyncpg.PostgresError, TimeoutError) as error:
        raise Unavailable(f"the database does not answer ({error}); is AMELIA_DATABASE_URL right?") from error
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", _LOCK)
        return await _forwards(database_url)
    finally:
        await guard.close()


async def _forwards(database_url: str) -> str:
    os.environ["AMELIA_DATABASE_URL"] = database_url
    os.environ["PICCOLO_CONF"] = "amelia.adapters.postgres.piccolo_conf"
    from piccolo.apps.migrations.commands.forwards import run_forwards

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = await run_forwards("amelia")
    if not result.success:
        raise Refused(f"the migration failed: {result.message}")
    return result.message or said.getvalue().strip()


def main() -> None:
    try:
        print(asyncio.run(migrate(load().database_url)))
    except AmeliaError as error:
        sys.exit(f"migrate: {error}")


if __name__ == "__main__":
    main()
