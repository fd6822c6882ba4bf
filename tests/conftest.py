"""One PostgreSQL for the whole session, an empty database for each test that asks for one."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

if TYPE_CHECKING:
    import asyncpg

    from amelia.adapters.postgres.journal import PostgresJournal

Opener = Callable[..., "Awaitable[PostgresJournal]"]


def pytest_configure() -> None:
    """A process that a script starts in the background ignores Ctrl-C, and so does all that it starts; some tests press
    it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and rewritten stays to the end. To look for garbage in it meanwhile takes as long as all the
    rest, and again later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


_SHAPE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', c.relname, c.relkind, c.relhastriggers, a.attname, a.atttypid, a.attnotnull) AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT array_to_string(s.setconfig, ' ') FROM pg_db_role_setting s
        JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
) AS lines
"""
"""What tests may leave changed besides rows: columns, triggers, functions, settings of the database."""
_EMPTIED = """
SELECT format('TRUNCATE %s RESTART IDENTITY', string_agg(format('%I', relname), ', ')) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migration'
"""
_ALONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"


class Server:
    """PostgreSQL as the laptop's fleet runs it, without waiting for the disk."""

    def __init__(self, root: Path) -> None:
        from amelia.adapters.local import postgres
        from amelia.adapters.local.state import StateDirectory

        self._state = StateDirectory.open(root)
        self._port = self._state.port("postgres")
        program = postgres.program(self._state, self._port)
        careless = ["-c", "fsync=off", "-c", "full_page_writes=off"]
        program = msgspec.structs.replace(program, argv=[*program.argv, *careless])
        self._programs = self._state.run / "programs.json"
        self._programs.write_bytes(msgspec.json.encode({"postgres": program}))
        self._process: subprocess.Popen[bytes] | None = None
        self._empty: list[str] = []
        self._shape = ""

    def url(self, database: str = "postgres") -> str:
        from amelia.adapters.local import postgres

        return postgres.url(self._state, self._port, database)

    def start(self) -> None:
        from amelia.adapters.local import postgres

        command = [sys.executable, "-m", "amelia.adapters.local.child", str(self._programs), "postgres"]
        with (self._state.logs / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        _aside(lambda: postgres.wait_until_ready(self.url(), 30))

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(2)
            self._process.wait(30)
            self._process = None

    def make_template(self) -> None:
        from amelia.adapters.local import postgres

        _aside(lambda: postgres.create_database(self.url("template_amelia"), 30))
        environ = {**os.environ, "AMELIA_DATABASE_URL": self.url("template_amelia")}
        subprocess.run([sys.executable, "-m", "amelia.adapters.postgres.migrate"], env=environ, check=True)
        _aside(self._look_at_template)

    async def _look_at_template(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url("template_amelia"), command_timeout=30)
        self._shape = await connection.fetchval(_SHAPE)
        await connection.close()

    async def admin(self) -> "asyncpg.Connection[asyncpg.Record]":
        import asyncpg

        return await asyncpg.connect(self.url(), command_timeout=30)

    async def fresh(self) -> str:
        """The address of an empty, migrated database: one that was given back, or a new one."""
        if self._empty:
            return self._empty.pop()
        name = f"test_{uuid.uuid4().hex}"
        admin = await self.admin()
        try:
            await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template_amelia STRATEGY FILE_COPY')
        finally:
            await admin.close()
        return self.url(name)

    async def give_back(self, url: str) -> None:
        """Emptied for the next test, which is twenty times cheaper than a new one; dropped when more than its rows
        was changed."""
        if await self._emptied(url):
            self._empty.append(url)
            return
        admin = await self.admin()
        try:
            await admin.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')
        finally:
            await admin.close()

    async def _emptied(self, url: str) -> bool:
        import asyncpg

        connection = await asyncpg.connect(url, command_timeout=30)
        try:
            await connection.execute(_ALONE, connection.get_server_pid())
            if await connection.fetchval(_SHAPE) != self._shape:
                return False
            await connection.execute(await connection.fetchval(_EMPTIED))
            return True
        finally:
            await connection.close()


def _aside(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine in a thread of its own, which leaves the tests' event loops alone."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(act())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fleets of real processes come first: they take long and mostly wait, so that the end is left to what is short."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("postgres"))
    server.start()
    try:
        server.make_template()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def database_url(postgres_server: Server) -> AsyncIterator[str]:
    url = await postgres_server.fresh()
    yield url
    await postgres_server.give_back(url)


@pytest.fixture
async def open_journal(database_url: str) -> AsyncIterator[Opener]:
    """Opens as many journals on the test's database as it likes."""
    from amelia.adapters.postgres.journal import PostgresJournal

    opened: list[PostgresJournal] = []

    async def open_one(*, lease_seconds: float = 20, size: int = 4, **options: Any) -> PostgresJournal:
        opened.append(await PostgresJournal.open(database_url, lease_seconds=lease_seconds, size=size, **options))
        return opened[-1]

    yield open_one
    for journal in opened:
        await asyncio.wait_for(journal.close(), 20)


@pytest.fixture
async def journal(open_journal: Opener) -> "PostgresJournal":
    return await open_journal()
