"""A dispatcher on a real journal; everything else around it is in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from amelia.adapters.local.objects import FolderObjects
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.consumer import Consumer
from amelia.contract import commands as c
from amelia.domain.workflow import Workflow
from amelia.ports.forge import PullRequest
from amelia.settings import Settings
from amelia_dispatcher import attempt
from amelia_dispatcher.admission import Gatekeeper
from amelia_dispatcher.attempt import Attempts
from amelia_dispatcher.deliver import Deliveries
from amelia_dispatcher.dispatch import Dispatcher
from amelia_dispatcher.relay import Relay
from amelia_dispatcher.sweep import Sweeper

from ..conftest import Opener
from ..inmemory import FixedKeys, MemoryBus, MemoryQueue, MemoryRuntimes, NoForge
from ..samples import eventually, start, the


class Pushes:
    """A repository that notes what is pushed to it, and what is taken back."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str]] = []
        self.withdrawn: list[tuple[str, str]] = []
        self.fails: Exception | None = None
        self.pushing: Callable[[], Awaitable[None]] | None = None

    async def push(
        self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str, token: str
    ) -> None:
        if self.fails is not None:
            raise self.fails
        self.pushed.append((branch, commit))
        if self.pushing is not None:
            await self.pushing()

    async def withdraw(self, *, repository: str, branch: str, commit: str, workflow_id: str, token: str) -> bool:
        self.withdrawn.append((branch, commit))
        return True


class Requests(NoForge):
    """A forge that notes what is proposed; one request a branch."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.fails: Exception | None = None
        self.serving = False
        self.token = ""
        self.reading_fails: Exception | None = None

    def serves(self, repository: str) -> bool:
        return self.serving

    async def read(self, repository: str) -> str:
        if self.reading_fails is not None:
            raise self.reading_fails
        return self.token

    async def open_pull_request(self, repository: str, *, branch: str, **told: Any) -> PullRequest:
        self.asked += 1
        adopted = branch in self.there
        self.there.setdefault(branch, told)
        if self.fails is not None:
            raise self.fails
        return PullRequest(url=f"https://forge/{branch}", number=7, draft=told["draft"], adopted=adopted)


SETTINGS = Settings(resend_seconds=30, sweep_seconds=0.1, gap_seconds=0, max_attempts=3, session_starts_per_second=1000)
"""Nothing is sent again while a test counts what came of it, however slow the machine."""


class World:
    """``running`` has the relay and the consumer at work; what needs no concurrency calls the parts directly."""

    def __init__(
        self, journal: PostgresJournal, url: str, objects: FolderObjects, settings: Settings = SETTINGS
    ) -> None:
        self.journal, self.url, self.objects = journal, url, objects
        self.queue, self.bus, self.runtimes, self.pushes = MemoryQueue(), MemoryBus(), MemoryRuntimes(), Pushes()
        self.settings = settings
        self.forge = Requests()
        self.attempts = Attempts(journal, self.runtimes, FixedKeys(b"master"), self.forge, self.settings)
        self.gatekeeper = Gatekeeper(journal, self.runtimes, self.attempts, self.settings)
        deliveries = Deliveries(
            journal,
            objects,
            self.pushes,
            self.forge,
            self.forge,
            patience_seconds=self.settings.delivery_patience_seconds,
        )
        self.dispatcher = Dispatcher(journal, self.runtimes, self.attempts, self.gatekeeper, deliveries)
        self.relay = Relay(journal, self.queue, self.bus, resend_seconds=self.settings.resend_seconds)
        self.sweeper = Sweeper(journal, self.attempts, self.gatekeeper, self.settings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        consumer = Consumer(self.queue, self.dispatcher.handle, in_flight=2, max_receives=3)
        async with AsyncExitStack() as stack:
            tasks = [asyncio.create_task(consumer.run(stop)), asyncio.create_task(self.relay.run(stop))]
            stack.push_async_callback(asyncio.wait_for, asyncio.gather(*tasks), 15)
            stack.callback(stop.set)
            yield
        await self.dispatcher.drain()

    async def act(self, command: c.AnyCommand) -> None:
        """Until everything that comes of it is done."""
        await self.dispatcher.act(command)
        await self.gatekeeper.looked()

    async def sweep(self) -> None:
        await self.sweeper.sweep()
        await self.gatekeeper.looked()

    async def submitted(self, **fields: Any) -> c.StartWorkflow:
        command = start(**fields)
        await self.journal.execute(command)
        return command

    async def workflow(self, workflow_id: str) -> Workflow:
        return (await the(self.journal, workflow_id)).workflow

    async def until(self, workflow_id: str, **expected: object) -> Workflow:
        async def holds() -> bool:
            w = await self.workflow(workflow_id)
            return all(getattr(w, name) == value for name, value in expected.items())

        await eventually(holds, f"{workflow_id} has {expected}")
        return await self.workflow(workflow_id)

    async def sql(self, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def orders(self) -> list[str]:
        """The commands that are not settled."""
        return [row["id"] for row in await self.sql("SELECT id FROM outbox WHERE destination = 'commands'")]

    async def send_again(self) -> None:
        """What is not settled is due at once."""
        await self.sql("UPDATE outbox SET next_at = now()")
        await self.relay._pass()

    async def pass_time(self) -> None:
        """Parked workflows are due, leases have run out, and the router has read everything."""
        await self.sql("UPDATE workflow SET wake_at = now() - interval '1 s' WHERE wake_at IS NOT NULL")
        past = "to_char(now() - interval '1 s', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        await self.sql(
            f"UPDATE workflow SET state = jsonb_set(state::jsonb, '{{parked_until}}', to_jsonb({past}))::text"
            " WHERE state::jsonb ? 'parked_until'"
        )
        await self.sql("UPDATE workflow SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
        await self.journal.drained("router")


@pytest.fixture
async def world(open_journal: Opener, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(attempt, "_CONFLICT_PAUSES", (0.01, 0.01))
    return World(await open_journal(size=6), database_url, FolderObjects(tmp_path))


@pytest.fixture
def impatient(world: World) -> World:
    """The same world, which sends again after a moment what is not settled."""
    return World(world.journal, world.url, world.objects, replace(world.settings, resend_seconds=0.1))
