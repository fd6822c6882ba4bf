"""What a real PostgreSQL, and the way to it, can do to the journal: it is away for a while, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from amelia.adapters.postgres import group, pool
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.errors import Unavailable

from ..conftest import Opener
from ..samples import Voice, arrived, start, started, stream, the
from .test_journal import sql
from .test_journal_outages import insisted, kill_connections

if TYPE_CHECKING:
    from ..conftest import Server


class Way:
    """A TCP proxy to the database that passes bytes on until it is blocked; then nothing, without a word."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        place = f"{self._parts.username}:{self._parts.password}@127.0.0.1:{port}"
        return urlunsplit(self._parts._replace(netloc=place))

    def block(self) -> None:
        self._open.clear()

    def unblock(self) -> None:
        """For new connections; what was under way stays lost."""
        for task in self._tasks:
            task.cancel()
        self._open.set()

    async def stop(self) -> None:
        self.unblock()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        there = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            sink.close()


@pytest.fixture
async def way(database_url: str) -> AsyncIterator[Way]:
    made = Way(database_url)
    yield made
    await made.stop()


async def test_a_connection_that_leads_nowhere_is_unavailable_and_then_forgotten(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(pool, "_ACQUIRE_SECONDS", 0.5)
    journal = await PostgresJournal.open(await way.start(), lease_seconds=20, size=3)
    try:
        row = await started(journal)
        voice = Voice(row.workflow.id)
        batch = arrived(voice.fact(), voice.progress())
        way.block()
        for call in (journal.append(batch), journal.execute(start()), journal.get(row.workflow.id), journal.due(1, 1)):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(call, 8)
        way.unblock()
        assert set(await insisted(partial(journal.append, batch))) == {None}
        assert [n for n, _ in await insisted(partial(stream, journal, row.workflow.id))] == [1, 2, 3, 4]
    finally:
        await journal.close()


async def test_a_server_that_ends_at_once_in_the_middle_of_it_all_keeps_what_it_acknowledged(
    open_journal: Opener, postgres_server: "Server"
) -> None:
    journal = await open_journal(size=3)
    row = await started(journal)
    voice = Voice(row.workflow.id)
    batches = [arrived(voice.fact(), voice.progress()) for _ in range(40)]
    commands = [start() for _ in range(40)]

    async def work(n: int) -> None:
        await insisted(partial(journal.append, batches[n]))
        await insisted(partial(journal.execute, commands[n], "print"))

    working = asyncio.gather(*(work(n) for n in range(40)))
    await asyncio.sleep(0.05)
    assert postgres_server._process is not None
    postgres_server._process.send_signal(3)
    postgres_server._process.wait(30)
    postgres_server.start()
    await working
    shown = [event for _, event in await insisted(partial(stream, journal, row.workflow.id))][2:]
    assert [x.fact for x in shown if x.fact] == list(range(1, 41))
    assert [x.ordinal for x in shown if x.ordinal] == list(range(1, 41))
    for command in commands:
        assert [n for n, _ in await insisted(partial(stream, journal, command.workflow_id))] == [1]


async def test_a_deadlock_is_tried_again_and_nobody_hears_of_it(
    journal: PostgresJournal, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds one row and wants the other, while the journal holds that and wants the first."""
    one, two = sorted([await started(journal), await started(journal)], key=lambda row: row.workflow.id)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("SET deadlock_timeout = '10s'")
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM workflow WHERE id = $1 FOR UPDATE", two.workflow.id)
        voices = [Voice(row.workflow.id) for row in (one, two)]
        appending = asyncio.create_task(journal.append(arrived(*(v.fact() for v in voices))))
        await asyncio.sleep(0.1)
        try:
            await other.execute("SELECT FROM workflow WHERE id = $1 FOR UPDATE", one.workflow.id)
            await transaction.commit()
        except asyncpg.DeadlockDetectedError:
            await transaction.rollback()
        assert await appending == [None, None]
    finally:
        await other.close()


async def test_a_table_that_is_altered_under_a_prepared_statement_is_no_reason_to_fail(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    for kind in ("bigint", "integer", "bigint"):
        assert await journal.append(arrived(voice.fact(), voice.progress())) == [None, None]
        await sql(database_url, f"ALTER TABLE workflow ALTER COLUMN said_fact TYPE {kind}")
    assert await journal.append(arrived(voice.fact())) == [None]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("default_transaction_read_only = on", "default_transaction_read_only = off"),
        ("statement_timeout = '1ms'", "statement_timeout = 0"),
    ],
)
async def test_a_server_that_takes_nothing_for_a_while_is_away_for_a_while(
    journal: PostgresJournal, postgres_server: "Server", database_url: str, wrong: str, right: str
) -> None:
    row = await started(journal)
    voice, name = Voice(row.workflow.id), database_url.rpartition("/")[2]
    holder = await asyncpg.connect(database_url)
    holding = holder.transaction()
    try:
        await holding.start()
        await holder.execute("SELECT FROM workflow FOR UPDATE")
        admin = await postgres_server.admin()
        await admin.execute(f'ALTER DATABASE "{name}" SET {wrong}')
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> $2",
            name,
            holder.get_server_pid(),
        )
        batch = arrived(voice.fact(), voice.progress())
        for _ in range(2):
            with pytest.raises(Unavailable):
                await journal.append(batch)
        await admin.execute(f'ALTER DATABASE "{name}" SET {right}')
        await admin.close()
        await holding.rollback()
    finally:
        await holder.close()
    await kill_connections(postgres_server, database_url)
    assert set(await insisted(partial(journal.append, batch))) == {None}
    assert (await insisted(partial(the, journal, row.workflow.id))).workflow.fact == 1


async def test_after_a_failover_no_connection_to_the_old_server_is_used_again(
    journal: PostgresJournal, postgres_server: "Server", database_url: str
) -> None:
    """The connections stay, and lead to a server that only reads; new ones lead to the one that writes."""
    row = await started(journal)
    voice = Voice(row.workflow.id)
    connections = [await journal._pool.acquire() for _ in range(4)]
    for connection in connections:
        await connection.execute("SET default_transaction_read_only = on")
    raw = [connection._con for connection in connections]  # type: ignore[attr-defined]
    for connection in connections:
        connection._con._reset_query = "SELECT 1"  # type: ignore[attr-defined]
        await journal._pool.release(connection)
    assert len(raw) == 4
    with pytest.raises(Unavailable, match="ReadOnly"):
        await journal.append(arrived(voice.fact()))
    assert await journal.append(arrived(Voice(row.workflow.id).fact())) == [None]


async def test_a_server_that_has_no_connection_left_is_away(
    journal: PostgresJournal, postgres_server: "Server", database_url: str
) -> None:
    row = await started(journal)
    name = database_url.rpartition("/")[2]
    admin = await postgres_server.admin()
    try:
        await admin.execute(f"CREATE ROLE \"r_{name}\" LOGIN PASSWORD 'x' CONNECTION LIMIT 2")
        await sql(database_url, f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "r_{name}"')
        parts = urlsplit(database_url)
        url = urlunsplit(parts._replace(netloc=f"r_{name}:x@{parts.hostname}:{parts.port}"))
        limited = await PostgresJournal.open(url, lease_seconds=20, size=4)
        try:
            answers = await asyncio.gather(*(limited.get(row.workflow.id) for _ in range(8)), return_exceptions=True)
            assert all(not isinstance(x, Exception) or isinstance(x, Unavailable) for x in answers)
            assert any(isinstance(x, Unavailable) for x in answers)
            assert (await insisted(partial(limited.get, row.workflow.id))) is not None
        finally:
            await limited.close()
    finally:
        await sql(database_url, f'DROP OWNED BY "r_{name}"')
        await admin.execute(f'DROP ROLE "r_{name}"')
        await admin.close()


async def test_who_waits_for_a_connection_too_long_is_told_to_come_again(
    open_journal: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await open_journal(size=1)
    row = await started(journal)
    monkeypatch.setattr(pool, "_ACQUIRE_SECONDS", 0.05)
    async with journal._pool.acquire():
        for call in (journal.get(row.workflow.id), journal.events({}, 1), journal.due(1, 1), journal.month("", "")):
            with pytest.raises(Unavailable):
                await call
    assert (await the(journal, row.workflow.id)).workflow == row.workflow


async def test_more_changes_than_can_wait_are_refused_at_once_and_the_others_are_made(
    open_journal: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "_MOST_WAITING", 20)
    journal = await open_journal()
    commands = [start() for _ in range(100)]
    answers = await asyncio.gather(*(journal.execute(x) for x in commands), return_exceptions=True)
    refused = [x for x in answers if isinstance(x, Unavailable)]
    assert refused
    assert len(refused) + sum(not isinstance(x, Exception) for x in answers) == 100
    made = await asyncio.gather(*(journal.get(command.workflow_id) for command in commands))
    assert [row is not None for row in made] == [not isinstance(x, Exception) for x in answers]
