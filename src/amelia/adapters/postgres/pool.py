"""Connections to the database, and its errors as ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from piccolo.engine.postgres import PostgresEngine

from ...errors import Unavailable
from .tables import CommandRow, OutboxRow, WorkflowRow

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_CLOSE_SECONDS = 2.0
_COMMAND_SECONDS = 10.0
"""asyncpg otherwise waits for ever on a connection that leads nowhere."""
_ACQUIRE_SECONDS = 5.0
"""Whoever waits longer for a connection is told to come again: a queue of waiters would outlive what they wait for."""

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.PostgresSystemError,
)
"""Errors that pass: the database is away, starting, stopping, failing over or asks for another try. asyncpg calls it an
internal error of its own when the server ended a connection at the moment it was taken from the pool."""


@asynccontextmanager
async def unavailable() -> AsyncIterator[None]:
    """Turns what passes into ``Unavailable``; what does not (a bad value, a bug) goes through."""
    try:
        yield
    except AWAY as error:
        raise Unavailable(f"the database does not answer: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def taken(pool: Pool) -> "AsyncIterator[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]]":
    """A connection, within a bounded time; ``Unavailable`` otherwise, and for what ``unavailable`` turns into it. When
    one leads to a server that only reads, after a failover, or to nowhere, none of the others is used again either."""
    async with unavailable(), pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
        try:
            yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            await pool.expire_connections()
            raise


class _Engine(PostgresEngine):
    async def check_version(self) -> None:
        """Piccolo would connect here, in its constructor, holding up the event loop; the pool connects soon enough."""


async def connect(database_url: str, size: int = 8) -> PostgresEngine:
    """A Piccolo engine whose pool the hot paths share. Raises ``Unavailable`` while the database is away."""
    engine = _Engine(config={"dsn": database_url}, log_queries=False, extensions=())
    async with unavailable():
        await engine.start_connection_pool(
            dsn=database_url,
            min_size=1,
            max_size=size,
            command_timeout=_COMMAND_SECONDS,
            timeout=10,
            max_inactive_connection_lifetime=0,
        )
    for table in (WorkflowRow, OutboxRow, CommandRow):
        table._meta._db = engine
    return engine


async def lock_pool(database_url: str) -> Pool:
    """Connections that hold locks: apart from the others, because who holds a lock then needs one of those."""
    async with unavailable():
        return await asyncpg.create_pool(database_url, min_size=0, max_size=40, command_timeout=60, timeout=10)


async def close_pool(pool: Pool) -> None:
    """asyncpg waits for its connections' last words; a database that is away has none."""
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
    except (TimeoutError, *AWAY):
        pool.terminate()


def pool_of(engine: PostgresEngine) -> Pool:
    assert engine.pool is not None, "the engine was not connected"
    return engine.pool
