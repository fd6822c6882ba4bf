"""Checkpoints in SQLite files: one for each attempt of a workflow."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Unavailable

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


class LocalMemory:
    """``folder/<workflow>/<epoch>.sqlite``. An attempt begins with a copy of the newest file before it, so what
    an older attempt still writes goes to a file that nobody reads any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checkpoints(self, workflow_id: str, epoch: int) -> "AbstractAsyncContextManager[BaseCheckpointSaver[str]]":
        return self._open(workflow_id, epoch)

    @asynccontextmanager
    async def _open(self, workflow_id: str, epoch: int) -> "AsyncIterator[BaseCheckpointSaver[str]]":
        import aiosqlite
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        try:
            path = await asyncio.to_thread(_prepare, self._folder / workflow_id, epoch)
            connection = await aiosqlite.connect(path)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"cannot open the checkpoints of {workflow_id} in {self._folder}: {error}") from error
        try:
            yield AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        finally:
            await connection.close()


def _prepare(folder: Path, epoch: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{epoch}.sqlite"
    earlier = max((e for e in map(_epoch, folder.glob("*.sqlite")) if e < epoch), default=None)
    if not path.exists() and earlier is not None:
        _copy(folder / f"{earlier}.sqlite", path)
    return path


def _copy(source: Path, target: Path) -> None:
    fresh = target.with_suffix(f".{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(fresh)) as new:
        old.backup(new)
    fresh.replace(target)


def _epoch(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else -1
