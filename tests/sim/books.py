"""The journal as one machine reaches it: away, slow, or with an answer that never comes back."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from amelia.adapters.memory.journal import MemoryDatabase, MemoryJournal
from amelia.adapters.memory.lock import Locks
from amelia.adapters.memory.transaction import Written
from amelia.domain.effects import Arrived, Change
from amelia.errors import Unavailable

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World


class WatchedDatabase(MemoryDatabase):
    """Every transaction is looked at from the outside as it commits. During an outage nothing is answered."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world
        self.away_until = 0.0
        self.locks_lost_at = float("-inf")

    def commit(self, changes: Sequence[Change], lease_seconds: float) -> Written:
        before = {c.workflow_id: self.tables.workflows.get(c.workflow_id) for c in changes}
        written = super().commit(changes, lease_seconds)
        self._world.watch.committed(before, written)
        return written

    def fail(self, until: float) -> None:
        """The server restarts: who held a lock holds none now, and is not told before it asks for something."""
        self.away_until = until
        self.locks_lost_at = self._world.loop.time()
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

    def __getattr__(self, what: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Every other method is the memory journal's."""
        method = getattr(self._journal, what)

        async def ask(*arguments: Any, **options: Any) -> Any:
            return await self._call(what, lambda: method(*arguments, **options))

        return ask

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        answer: list[Exception | None] = await self._call("append", lambda: self._appended(arrived))
        return answer

    async def _appended(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        answer = await self._journal.append(arrived)
        self._machine.world.watch.lived(arrived)
        return answer

    async def renew(self, workflow_id: str, epoch: int) -> bool:
        renewed = bool(await self._call("renew", lambda: self._journal.renew(workflow_id, epoch)))
        if renewed:
            self._machine.world.watch.renewed(workflow_id, epoch)
        return renewed

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
