"""The whole fleet in one process: the real parts between carriers that fail and machines that crash."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import asyncpg
import msgspec

from amelia.adapters.local.objects import FolderObjects
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.consumer import Consumer
from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract.commands import AnyCommand
from amelia.contract.envelope import Event
from amelia.contract.ids import new_id, new_workflow_id
from amelia.contract.workflow import Issue
from amelia.domain.workflow import Workflow
from amelia.errors import Unavailable
from amelia.settings import Settings
from amelia_dispatcher.admission import Gatekeeper
from amelia_dispatcher.attempt import Attempts
from amelia_dispatcher.deliver import Deliveries
from amelia_dispatcher.dispatch import Dispatcher
from amelia_dispatcher.pushing import GitRemote
from amelia_dispatcher.relay import Relay
from amelia_dispatcher.sweep import Sweeper
from amelia_router.route import Router

from ..inmemory import FixedKeys, NoForge
from .carriers import Faults, FaultyBus, FaultyQueue
from .machines import Machines
from .orphans import Watch
from .script import Script

T = TypeVar("T")
PATIENCE = 90.0
"""Seconds; only a journey that never ends waits so long."""
_KEYS = FixedKeys(b"the master secret of the journey")


class Fleet:
    """Used as a context: the router and a dispatcher run, and whoever looks for orphans. ``dispatching=False`` leaves
    the dispatcher to ``start_dispatcher``."""

    def __init__(
        self,
        folder: Path,
        fresh_database: Callable[[], Awaitable[str]],
        seed: int,
        *,
        faults: Faults,
        lease_seconds: float = 2,
        dispatching: bool = True,
        **settings: Any,
    ) -> None:
        chance = Random(seed)
        self.chance = chance
        self._fresh_database = fresh_database
        self.folder = folder
        self.settings = Settings(
            lease_seconds=lease_seconds,
            heartbeat_seconds=0.4,
            sweep_seconds=0.2,
            gap_seconds=0.2,
            resend_seconds=0.3,
            **settings,
        )
        self.script = Script(chance)
        self.events = FaultyQueue(chance, faults)
        self.commands = FaultyQueue(chance, faults)
        self.said = FaultyBus("amelia.control", None, chance, faults)
        spoken = FaultyBus("amelia.runtime", self.events, chance, faults)
        self.machines = Machines(spoken, self.script, folder)
        self.repository = folder / "origin"
        self._dispatching = dispatching
        self._stop = asyncio.Event()
        self._always: list[asyncio.Task[None]] = []
        self._dispatcher: Dispatcher | None = None
        self._dispatching_tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Fleet":
        async with contextlib.AsyncExitStack() as opened:
            await self._open(opened)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *failed: object) -> None:
        await self._opened.aclose()

    async def _open(self, opened: contextlib.AsyncExitStack) -> None:
        await asyncio.to_thread(_make_repository, self.repository)
        self.url = await self._fresh_database()
        self._looking = await asyncpg.create_pool(self.url, min_size=0, max_size=1, command_timeout=30)
        opened.push_async_callback(self._looking.close)
        self.journal = await self._open_journal(opened)
        self._dispatchers_journal = await self._open_journal(opened)
        router = Router(await self._open_journal(opened), _KEYS)
        for queue in (self.events, self.commands):
            opened.callback(queue.lose_everything)
        opened.push_async_callback(self.machines.close)
        opened.push_async_callback(self._end)
        consumer = Consumer(
            self.events, router.handle, in_flight=4, max_receives=3, drained=router.drained, tell_seconds=0.1
        )
        self.watch = Watch(self.url)
        self._always = [asyncio.create_task(part.run(self._stop)) for part in (consumer, self.watch)]
        if self._dispatching:
            self.start_dispatcher()

    async def _end(self) -> None:
        self._stop.set()
        try:
            await asyncio.gather(*self._always, *self._dispatching_tasks)
        finally:
            if self._dispatcher is not None:
                await self._dispatcher.drain()

    def start_dispatcher(self) -> None:
        journal = self._dispatchers_journal
        attempts = Attempts(journal, self.machines, _KEYS, NoForge(), self.settings)
        self.gatekeeper = Gatekeeper(journal, self.machines, attempts, self.settings)
        deliveries = Deliveries(
            journal, FolderObjects(self.folder / "objects"), GitRemote(), NoForge(), NoForge(), patience_seconds=900
        )
        self._dispatcher = Dispatcher(journal, self.machines, attempts, self.gatekeeper, deliveries)
        consumer = Consumer(self.commands, self._dispatcher.handle, in_flight=4, max_receives=3)
        relay = Relay(journal, self.commands, self.said, resend_seconds=self.settings.resend_seconds)
        parts = (consumer, relay, Sweeper(journal, attempts, self.gatekeeper, self.settings))
        self._dispatching_tasks = [asyncio.create_task(part.run(self._stop)) for part in parts]

    async def kill_dispatcher(self) -> None:
        """Its loops end where they are; what it was acting upon is for the caller to end."""
        for task in self._dispatching_tasks:
            task.cancel()
        await asyncio.gather(*self._dispatching_tasks, return_exceptions=True)
        self._dispatching_tasks = []

    async def start(self, *, auto_approve: bool = False, owner: str = "ada", **fields: Any) -> str:
        command = c.StartWorkflow(
            id=new_id(),
            workflow_id=new_workflow_id(),
            actor="ada",
            correlation_id=new_id(),
            issue=Issue(id="PROJ-7", title="Two files", body="Écris-les."),
            repository=f"file://{self.repository}",
            auto_approve=auto_approve,
            owner=owner,
            team="blue",
            **fields,
        )
        await self.execute(command)
        return command.workflow_id

    async def execute(self, command: AnyCommand) -> Workflow:
        """As the api does: again with the same id while the database is away."""
        return (await self._patiently(lambda: self.journal.execute(command, command.id))).row.workflow

    async def cancel(self, workflow_id: str) -> Workflow:
        command = c.CancelWorkflow(id=new_id(), workflow_id=workflow_id, actor="ada", reason="not wanted")
        return await self.execute(command)

    async def order(self, kind: type[AnyCommand], workflow_id: str, **fields: Any) -> Workflow:
        command: Any = kind(**{"id": new_id(), "workflow_id": workflow_id, "actor": "ada", **fields})
        if kind is c.RetryWorkflow:
            self.watch.retried.add(workflow_id)
        return await self.execute(command)

    async def approve(self, workflow_id: str) -> Workflow:
        block = (await self.look(workflow_id)).block
        assert block is not None
        return await self.execute(
            c.ApproveWorkflow(
                id=new_id(),
                workflow_id=workflow_id,
                actor="ada",
                block_id=block.event_id,
                plan_sha256=block.plan_sha256,
            )
        )

    async def look(self, workflow_id: str) -> Workflow:
        row = await self._patiently(lambda: self.journal.get(workflow_id))
        assert row is not None
        return row.workflow

    async def story(self, workflow_id: str) -> list[tuple[int, Event]]:
        rows = await self._patiently(lambda: self.journal.events({workflow_id: 0}, 100_000))
        return [(row.sequence, codec.decode_event(row.body)) for row in rows]

    async def until(self, workflow_id: str, *statuses: str) -> Workflow:
        """Waits; a workflow that ends otherwise, or a part of the fleet that fails, fails the test at once."""

        async def there() -> Workflow | None:
            w = await self.look(workflow_id)
            assert w.status in statuses or not w.ended, f"{w.status}: {w.reason}\n{await self.told(workflow_id)}"
            return w if w.status in statuses else None

        async def why() -> str:
            return f"{workflow_id} is not {' or '.join(statuses)}\n{await self.told(workflow_id)}"

        return await self.eventually(there, why)

    async def eventually(self, holds: Callable[[], Awaitable[T | None]], why: Callable[[], Awaitable[str]]) -> T:
        deadline = time.monotonic() + PATIENCE
        while not (found := await holds()):
            for task in (*self._always, *self._dispatching_tasks):
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, await why()
            await asyncio.sleep(0.05)
        return found

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        return list(await self._looking.fetch(statement, *arguments))

    def branches(self) -> dict[str, str]:
        """The branches there are beside ``main``, and their commits."""
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
        return {name: commit for name, commit in map(str.split, lines) if name != "main"}

    def git(self, *arguments: str) -> str:
        return _git(self.repository, *arguments)

    async def _open_journal(self, opened: contextlib.AsyncExitStack) -> PostgresJournal:
        journal = await PostgresJournal.open(self.url, lease_seconds=self.settings.lease_seconds, size=4)
        opened.push_async_callback(journal.close)
        return journal

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            with contextlib.suppress(Unavailable):
                return await ask()
            await asyncio.sleep(0.05)

    async def told(self, workflow_id: str) -> str:
        w = await self.look(workflow_id)
        events = [
            f"{sequence:4} a{event.attempt} f{event.fact} o{event.ordinal} {codec.type_of(event)}"
            for sequence, event in await self.story(workflow_id)
        ]
        outbox: list[Any] = await self.sql("SELECT * FROM outbox WHERE workflow_id = $1", workflow_id)
        held: list[Any] = await self.sql("SELECT * FROM held_event WHERE workflow_id = $1", workflow_id)
        row = msgspec.json.format(msgspec.json.encode(w), indent=0).decode()
        return "\n".join([row, *events, *map(str, outbox), *map(str, held)])


def _make_repository(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("Nothing yet.\n")
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "-q", "-m", "as it was")


def _git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "t@t.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
