"""One PostgreSQL for the whole session, a fresh database for each test that asks for one."""

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

if TYPE_CHECKING:
    import asyncpg

    from amelia.adapters.postgres.journal import PostgresJournal

Opener = Callable[..., "Awaitable[PostgresJournal]"]


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

    async def admin(self) -> "asyncpg.Connection[asyncpg.Record]":
        import asyncpg

        return await asyncpg.connect(self.url(), command_timeout=30)

    async def fresh(self) -> str:
        """The address of a new, migrated database."""
        name = f"test_{uuid.uuid4().hex}"
        admin = await self.admin()
        try:
            await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template_amelia STRATEGY FILE_COPY')
        finally:
            await admin.close()
        return self.url(name)

    async def drop(self, url: str) -> None:
        admin = await self.admin()
        try:
            await admin.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')
        finally:
            await admin.close()


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
    await postgres_server.drop(url)


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
