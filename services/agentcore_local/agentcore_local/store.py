"""Memory's events in SQLite: ordered by time, then by creation."""

import base64
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from agentcore_local.errors import Invalid, NotFound
from agentcore_local.events import (
    MAIN_BRANCH,
    Branch,
    EventFilter,
    ListEvents,
    ListSessions,
    MetadataFilter,
    MetadataValue,
    NewEvent,
    Page,
    SessionSummary,
    StoredEvent,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, memory TEXT NOT NULL, actor TEXT NOT NULL, session TEXT NOT NULL,
    at INTEGER NOT NULL, branch TEXT NOT NULL, root TEXT, metadata TEXT NOT NULL,
    token TEXT, digest BLOB, payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (memory, actor, session, at, seq);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_token ON events (memory, token) WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS sessions (
    memory TEXT, actor TEXT, session TEXT, created INTEGER NOT NULL, PRIMARY KEY (memory, actor, session)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_time ON sessions (memory, actor, created, session);
CREATE TABLE IF NOT EXISTS branches (
    memory TEXT, actor TEXT, session TEXT, name TEXT, root TEXT, PRIMARY KEY (memory, actor, session, name)
) WITHOUT ROWID;
"""
_COLUMNS = "seq, at, branch, root, metadata"
_Row = tuple[int, int, str, str | None, str, bytes]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where events lie."""

    memory: str
    actor: str
    session: str


class EventStore:
    """To be used from one thread. Nothing committed is lost by a kill -9 of the process."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def create(self, place: Place, event: NewEvent) -> StoredEvent:
        """Stores an event, or answers the one its client token stored before.

        Raises Invalid when the token was used for another event or in another session.
        """
        payload = msgspec.json.encode(event.payload)
        digest = hashlib.sha256(payload + msgspec.json.encode((event.microseconds, event.branch, event.metadata)))
        with self._transaction():
            if known := self._by_token(place, event.client_token, digest.digest()):
                return known
            self._db.execute(
                "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?)",
                (place.memory, place.actor, place.session, time.time_ns() // 1000),
            )
            branch, root = self._enter_branch(place, event.branch)
            metadata = {key: value.string_value for key, value in event.metadata.items()}
            cursor = self._db.execute(
                "INSERT INTO events (memory, actor, session, at, branch, root, metadata, token, digest, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(place.memory, place.actor, place.session, event.microseconds, branch, root),
                    *(json.dumps(metadata), event.client_token, digest.digest(), payload),
                ),
            )
        row = (cursor.lastrowid or 0, event.microseconds, branch, root, json.dumps(metadata), payload)
        return _stored(place, row)

    def get(self, place: Place, event_id: str) -> StoredEvent:
        row = self._db.execute(
            f"SELECT {_COLUMNS}, payload FROM events"  # noqa: S608
            " WHERE seq = ? AND memory = ? AND actor = ? AND session = ?",
            (_sequence(event_id), place.memory, place.actor, place.session),
        ).fetchone()
        if row is None or _event_id(row[0], row[1]) != event_id.lower():
            raise NotFound(f"there is no event {event_id} in session {place.session}")
        return _stored(place, row)

    def delete(self, place: Place, event_id: str) -> None:
        self.get(place, event_id)
        self._db.execute("DELETE FROM events WHERE seq = ?", (_sequence(event_id),))

    def list_events(self, place: Place, asked: ListEvents) -> tuple[list[StoredEvent], str | None]:
        """Newest first. A page starts after the last event of the one before, whatever happened between."""
        where = ["memory = ?", "actor = ?", "session = ?"]
        values: list[str | int] = [place.memory, place.actor, place.session]
        if after := _read_cursor(asked, int, int):
            where.append("(at, seq) < (?, ?)")
            values += after
        for clause, parameters in self._conditions(place, asked.filter or EventFilter()):
            where.append(clause)
            values += parameters
        payload = "X'5B5D'" if asked.include_payloads is False else "payload"
        rows: list[_Row] = self._db.execute(
            f"SELECT {_COLUMNS}, {payload} FROM events WHERE {' AND '.join(where)}"  # noqa: S608
            " ORDER BY at DESC, seq DESC LIMIT ?",
            (*values, asked.limit + 1),
        ).fetchall()
        page = rows[: asked.limit]
        token = _cursor(page[-1][1], page[-1][0]) if len(rows) > asked.limit else None
        return [_stored(place, row) for row in page], token

    def list_sessions(self, memory: str, actor: str, asked: ListSessions) -> tuple[list[SessionSummary], str | None]:
        """Newest first."""
        where = ["s.memory = ?", "s.actor = ?"]
        values: list[str | int] = [memory, actor]
        if after := _read_cursor(asked, int, str):
            where.append("(s.created, s.session) < (?, ?)")
            values += after
        if asked.filter and asked.filter.event_filter:
            where.append(
                "EXISTS (SELECT 1 FROM events e"
                " WHERE e.memory = s.memory AND e.actor = s.actor AND e.session = s.session)"
            )
        rows = self._db.execute(
            f"SELECT s.created, s.session FROM sessions s WHERE {' AND '.join(where)}"  # noqa: S608
            " ORDER BY s.created DESC, s.session DESC LIMIT ?",
            (*values, asked.limit + 1),
        ).fetchall()
        page = rows[: asked.limit]
        summaries = [SessionSummary(session_id=name, actor_id=actor, created_at=at / 1e6) for at, name in page]
        return summaries, _cursor(*page[-1]) if len(rows) > asked.limit else None

    def list_actors(self, memory: str, asked: Page) -> tuple[list[str], str | None]:
        """In the order of their ids."""
        after = _read_cursor(asked, str) or [""]
        rows = self._db.execute(
            "SELECT DISTINCT actor FROM sessions WHERE memory = ? AND actor > ? ORDER BY actor LIMIT ?",
            (memory, *after, asked.limit + 1),
        ).fetchall()
        page = [actor for (actor,) in rows[: asked.limit]]
        return page, _cursor(page[-1]) if len(rows) > asked.limit else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _by_token(self, place: Place, token: str | None, digest: bytes) -> StoredEvent | None:
        if token is None:
            return None
        row = self._db.execute(
            f"SELECT {_COLUMNS}, payload, actor, session, digest FROM events"  # noqa: S608
            " WHERE memory = ? AND token = ?",
            (place.memory, token),
        ).fetchone()
        if row is None:
            return None
        if (row[6], row[7]) != (place.actor, place.session):
            raise Invalid(f"clientToken {token} belongs to another session", reason="EventInOtherSession")
        if row[8] != digest:
            raise Invalid(
                f"clientToken {token} belongs to an event with other content",
                reason="IdempotentParameterMismatchException",
            )
        return _stored(place, row[:6])

    def _enter_branch(self, place: Place, branch: Branch | None) -> tuple[str, str | None]:
        """The branch's name and root event; a name seen first opens the branch at the root it gives."""
        if branch is None or branch.name == MAIN_BRANCH:
            return MAIN_BRANCH, None
        given = branch.root_event_id if isinstance(branch.root_event_id, str) else None
        key = (place.memory, place.actor, place.session, branch.name)
        known = self._branch(*key)
        if known is not None:
            if given and given != known[0]:
                raise Invalid(f"branch {branch.name} starts at {known[0]}, not at {given}")
            return branch.name, known[0]
        if given:
            self.get(place, given)
        self._db.execute("INSERT INTO branches VALUES (?, ?, ?, ?, ?)", (*key, given))
        return branch.name, given

    def _branch(self, memory: str, actor: str, session: str, name: str) -> tuple[str | None] | None:
        row: tuple[str | None] | None = self._db.execute(
            "SELECT root FROM branches WHERE memory = ? AND actor = ? AND session = ? AND name = ?",
            (memory, actor, session, name),
        ).fetchone()
        return row

    def _conditions(self, place: Place, wanted: EventFilter) -> Iterator[tuple[str, list[str | int]]]:
        for expression in wanted.event_metadata or ():
            yield _metadata_condition(expression)
        if wanted.branch is None:
            return
        clauses, values = ["branch = ?"], [wanted.branch.name]
        parts: list[str | int] = [*values]
        if wanted.branch.include_parent_branches:
            for name, at, seq in self._parents(place, wanted.branch.name):
                clauses.append("(branch = ? AND (at, seq) <= (?, ?))")
                parts += [name, at, seq]
        yield f"({' OR '.join(clauses)})", parts

    def _parents(self, place: Place, name: str) -> Iterator[tuple[str, int, int]]:
        """The branches a branch grew from, each with the time and sequence of the event it left."""
        seen = {name}
        while (known := self._branch(place.memory, place.actor, place.session, name)) and known[0]:
            row = self._db.execute(
                "SELECT branch, at, seq FROM events WHERE seq = ?", (_sequence(known[0]),)
            ).fetchone()
            if row is None or row[0] in seen:
                return
            yield row
            name = row[0]
            seen.add(name)


def _metadata_condition(expression: MetadataFilter) -> tuple[str, list[str | int]]:
    key = expression.left.metadata_key
    found = "EXISTS (SELECT 1 FROM json_each(metadata) m WHERE m.key = ?"
    match expression.operator:
        case "EQUALS_TO":
            value = expression.right.metadata_value.string_value if expression.right else ""
            return f"{found} AND m.value = ?)", [key, value]
        case "EXISTS":
            return f"{found})", [key]
        case "NOT_EXISTS":
            return f"NOT {found})", [key]


def _stored(place: Place, row: _Row) -> StoredEvent:
    seq, at, branch, root, metadata, payload = row
    return StoredEvent(
        memory_id=place.memory,
        actor_id=place.actor,
        session_id=place.session,
        event_id=_event_id(seq, at),
        event_timestamp=at / 1e6,
        payload=msgspec.Raw(payload),
        branch=msgspec.UNSET if branch == MAIN_BRANCH else Branch(name=branch, root_event_id=root or msgspec.UNSET),
        metadata={key: MetadataValue(string_value=value) for key, value in json.loads(metadata).items()}
        or msgspec.UNSET,
    )


def _event_id(seq: int, at: int) -> str:
    return f"{max(at, 0) // 1000:019d}#{seq:08x}"


def _sequence(event_id: str) -> int:
    return min(int(event_id.partition("#")[2], 16), 2**63 - 1)


def _cursor(*key: str | int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def _read_cursor(asked: Page, *types: type) -> list[str | int] | None:
    if not asked.next_token:
        return None
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(asked.next_token), type=list[str | int])
    except (ValueError, msgspec.DecodeError) as error:
        raise Invalid("nextToken is not one this operation has given") from error
    if [type(part) for part in key] != list(types):
        raise Invalid("nextToken is not one this operation has given")
    return key
