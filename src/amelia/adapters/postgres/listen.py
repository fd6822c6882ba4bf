"""Notifications: one connection, made again when it breaks. What is lost is found by reading now and then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg

from .pool import AWAY, Pool

Pooled: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.5
_QUIET_SECONDS = 15.0
_ANSWER_SECONDS = 5.0
"""A connection that has been quiet is asked whether it still is one: a half-open one says nothing for ever."""


async def listen(pool: Pool, channel: str) -> AsyncIterator[dict[str, int]]:
    """What changed since the last answer, by workflow the sequence it reached.

    An empty answer comes after every (re)connection: something may have been missed, look for yourself.
    """
    while True:
        try:
            async with pool.acquire() as connection:
                async for reached in _heard(connection, channel):
                    yield reached
        except (*AWAY, asyncpg.PostgresError) as error:
            log.warning("listening again: %s", error)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _heard(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", channel: str
) -> AsyncIterator[dict[str, int]]:
    arrived: asyncio.Queue[str | None] = asyncio.Queue()

    def heard(_: object, __: int, ___: str, payload: object) -> None:
        arrived.put_nowait(str(payload))

    def gone(_: object) -> None:
        arrived.put_nowait(None)

    connection.add_termination_listener(gone)
    await connection.add_listener(channel, heard)
    try:
        yield {}
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    lines = [await arrived.get()]
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
                continue
            while not arrived.empty():
                lines.append(arrived.get_nowait())
            said = [line for line in lines if line is not None]
            if said:
                yield _parse(said)
            if len(said) < len(lines):
                return
    finally:
        if not connection.is_closed():
            connection.remove_termination_listener(gone)
            await connection.remove_listener(channel, heard)


def _parse(lines: list[str]) -> dict[str, int]:
    reached: dict[str, int] = {}
    for line in lines:
        for pair in filter(None, line.split(",")):
            workflow_id, _, sequence = pair.rpartition(":")
            reached[workflow_id] = max(reached.get(workflow_id, 0), int(sequence))
    return reached
