"""The journal as one machine reaches it: away, slow, or with an answer that never comes back."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from amelia.adapters.memory.journal import MemoryDatabase, MemoryJournal
from amelia.adapters.memory.lock import Locks
from amelia.adapters.memory.transaction import Written
from amelia.contract.commands import AnyCommand
from amelia.domain.effects import Arrived, Change, Reading
from amelia.errors import Unavailable
from amelia.ports.journal import Cursor, Executed, FleetPage, Outgoing, Overdue, Row, Stored

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World

T = TypeVar("T")


class WatchedDatabase(MemoryDatabase):
    """Every transaction is looked at from the outside as it commits. During an outage nothing is answered."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world
        self.away_until = 0.0

    def commit(self, changes: Sequence[Change], lease_seconds: float) -> Written:
        before = {c.workflow_id: self.tables.workflows.get(c.workflow_id) for c in changes}
        written = super().commit(changes, lease_seconds)
        self._world.watch.committed(before, written)
        return written

    def fail(self, until: float) -> None:
        """The server restarts: who held a lock holds none now, and is not told before it asks for something."""
        self.away_until = until
        self.locks = Locks()


class JournalClient:
    """``ports.journal.Journal`` for one machine. Every effect is the memory journal's own."""

    def __init__(self, database: WatchedDatabase, machine: "Machine", lease_seconds: float) -> None:
        self._database = database
        self._machine = machine
        self._journal = MemoryJournal(database, lease_seconds=lease_seconds)

    async def _call(self, what: str, ask: Callable[[], Any]) -> Any:
        weather = self._machine.world.weather
        return await self._machine.call(
            f"journal.{what}", lambda: self._at_once(ask), weather.journal_away, weather.journal_unknown, "the database"
        )

    def _at_once(self, ask: Callable[[], Any]) -> Any:
        """The memory journal never pauses, so its coroutines end with their first step."""
        if self._database.away_until > self._machine.world.loop.time():
            raise Unavailable("the database restarts")
        asked = ask()
        try:
            asked.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the memory journal paused")

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        answer: Executed = await self._call("execute", lambda: self._journal.execute(command, fingerprint))
        return answer

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        answer: list[Exception | None] = await self._call("append", lambda: self._appended(arrived))
        return answer

    async def _appended(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        answer = await self._journal.append(arrived)
        self._machine.world.watch.lived(arrived)
        return answer

    async def record(self, workflow_id: str, reading: Reading, settles: Sequence[str] = ()) -> Row | None:
        answer: Row | None = await self._call("record", lambda: self._journal.record(workflow_id, reading, settles))
        return answer

    async def get(self, workflow_id: str) -> Row | None:
        answer: Row | None = await self._call("get", lambda: self._journal.get(workflow_id))
        return answer

    async def page(
        self,
        *,
        before: tuple[datetime, str] | None,
        limit: int,
        statuses: Sequence[str] = (),
        owner: str = "",
        repository: str = "",
    ) -> list[Row]:
        answer: list[Row] = await self._call(
            "page",
            lambda: self._journal.page(
                before=before, limit=limit, statuses=statuses, owner=owner, repository=repository
            ),
        )
        return answer

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        answer: FleetPage = await self._call("fleet_events", lambda: self._journal.fleet_events(after, limit))
        return answer

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        answer: list[Stored] = await self._call("events", lambda: self._journal.events(after, limit))
        return answer

    async def due(self, limit: int, resend_seconds: float) -> list[Outgoing]:
        answer: list[Outgoing] = await self._call("due", lambda: self._journal.due(limit, resend_seconds))
        return answer

    async def settle(self, ids: Sequence[str]) -> None:
        await self._call("settle", lambda: self._journal.settle(ids))

    async def overdue(self, *, gap_seconds: float, limit: int) -> Overdue:
        answer: Overdue = await self._call(
            "overdue", lambda: self._journal.overdue(gap_seconds=gap_seconds, limit=limit)
        )
        return answer

    async def close_gap(self, workflow_id: str) -> Row | None:
        answer: Row | None = await self._call("close_gap", lambda: self._journal.close_gap(workflow_id))
        return answer

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int) -> list[Row]:
        answer: list[Row] = await self._call("expire", lambda: self._journal.expire(workflow_ids, max_attempts))
        return answer

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        await self._call("wake", lambda: self._journal.wake(workflow_ids))

    async def drained(self, consumer: str, seconds_ago: float = 0) -> None:
        await self._call("drained", lambda: self._journal.drained(consumer, seconds_ago))

    def exclusively(self, name: str, *, wait: bool = True) -> "LockClient":
        return LockClient(self._database, self._machine, name, wait)

    async def changes(self) -> AsyncIterator[dict[str, int]]:
        async for reached in self._journal.changes():
            if not reached or not self._machine.world.strikes(self._machine.world.weather.notices_lost):
                yield reached

    async def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        async for reached in self._journal.outbox_wakes():
            if not self._machine.world.strikes(self._machine.world.weather.notices_lost):
                yield reached

    async def close(self) -> None:
        pass


class LockClient:
    """A fleet-wide lock that a restart of the database takes away, silently."""

    def __init__(self, database: WatchedDatabase, machine: "Machine", name: str, wait: bool) -> None:
        self._database, self._machine, self._name, self._wait = database, machine, name, wait

    async def __aenter__(self) -> bool:
        weather = self._machine.world.weather
        await self._machine.call(f"lock {self._name}", self._check, weather.journal_away, 0, "the database")
        locks = self._database.locks
        held = MemoryJournal(self._database).exclusively(self._name, wait=self._wait)
        mine = await held.__aenter__()
        if locks is not self._database.locks or not self._machine.alive:
            await held.__aexit__(None, None, None)
            raise Unavailable("the database restarted while its lock was waited for")
        self._held = held
        return mine

    async def __aexit__(self, *exc: object) -> None:
        await self._held.__aexit__(*exc)

    def _check(self) -> None:
        if self._database.away_until > self._machine.world.loop.time():
            raise Unavailable("the database restarts")
