"""What was learnt about repositories by workflows that were worked here: one SQLite file for all of them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import asdict

from ...domain.lessons import MOST, KeptLesson, Learnt, plain
from ...errors import Unavailable

FILE = "lessons.sqlite"
_PATIENCE = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS lesson (
    id TEXT PRIMARY KEY, team TEXT NOT NULL, repository TEXT NOT NULL, topic TEXT NOT NULL, text TEXT NOT NULL,
    workflow_id TEXT NOT NULL, learnt_at TEXT NOT NULL
)
"""
_LEARN = """
INSERT INTO lesson (id, team, repository, topic, text, workflow_id, learnt_at)
VALUES (:id, :team, :repository, :topic, :text, :workflow_id, :learnt_at)
ON CONFLICT (id) DO UPDATE SET learnt_at = excluded.learnt_at, workflow_id = excluded.workflow_id
"""
_FIELDS = "id, team, repository, topic, text, workflow_id, learnt_at"
_READ = f"SELECT {_FIELDS} FROM lesson WHERE ? IN ('', repository) ORDER BY learnt_at DESC, id"  # noqa: S608
_FORGET = f"DELETE FROM lesson WHERE id = ? RETURNING {_FIELDS}"  # noqa: S608 - names of ours


class LocalLessons:
    """In ``folder``, made when something is learnt. Raises ``Unavailable`` when the file cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def learn(self, learnt: Learnt) -> None:
        """Again changes nothing but when it was learnt."""
        with self._open() as connection:
            connection.execute(_LEARN, {**asdict(learnt), "learnt_at": datetime.now(UTC).isoformat()})
            for old in _read(connection, learnt.repository)[MOST:]:
                connection.execute(_FORGET, (old.id,)).fetchall()

    def lessons(self, repository: str = "") -> list[KeptLesson]:
        """The newest first; of all repositories when none is named."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            return _read(connection, repository and plain(repository))

    def forget(self, ids: Sequence[str]) -> list[KeptLesson]:
        """Those that were there."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            return [_kept(row) for id_ in ids for row in connection.execute(_FORGET, (id_,)).fetchall()]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as connection, connection:
                connection.execute(_TABLE)
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"what was learnt cannot be kept in {self._path}: {error}; look at that file") from error


def _read(connection: sqlite3.Connection, repository: str) -> list[KeptLesson]:
    return [_kept(row) for row in connection.execute(_READ, (repository,)).fetchall()]


def _kept(row: tuple[str, ...]) -> KeptLesson:
    *texts, at = row
    return KeptLesson(**dict(zip(_FIELDS.split(", "), texts, strict=False)), learnt_at=datetime.fromisoformat(at))
