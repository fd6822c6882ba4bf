"""The api: its journal and its real broadcaster on one machine, and readers that come back with their cursors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from amelia.errors import Unavailable
from amelia.ports.journal import Journal
from amelia_api.broadcaster import Broadcaster
from amelia_api.readers import TooSlow

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World

T = TypeVar("T")
_PATIENCE_SECONDS = 20.0


class Api:
    """Runs again on a new machine whenever its machine dies; whoever asks meanwhile gets no answer."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._machine: Machine | None = None

    async def run(self, machine: "Machine") -> None:
        self._journal = self._world.journal_for(machine)
        self._broadcaster = Broadcaster(self._journal)
        self._machine = machine
        await self._broadcaster.run()

    async def ask(self, ask: Callable[[Journal], Awaitable[T]]) -> T:
        """Raises ``Unavailable`` when the api dies over it or is not there."""
        machine = self._up()

        async def answer() -> T:
            return await ask(self._journal)

        return await self._until_gone(machine, machine.begin(answer()), _PATIENCE_SECONDS)

    async def follow(self, workflow_id: str, after: int, take: Callable[[list[int]], Awaitable[None]]) -> None:
        """One connection: ``take`` gets the sequences as they are shown. Ends when the connection breaks."""
        machine = self._up()
        row = await self.ask(lambda journal: journal.get(workflow_id))
        if row is None or not machine.alive:
            return

        async def serve() -> None:
            async for frames in self._broadcaster.follow(workflow_id, after, 15):
                if frames:
                    await take([sequence for sequence, _ in frames])

        try:
            await self._until_gone(machine, machine.begin(serve()), None)
        except TooSlow:
            return

    def _up(self) -> "Machine":
        if self._machine is None or not self._machine.alive:
            raise Unavailable("the api is not there")
        return self._machine

    async def _until_gone(self, machine: "Machine", doing: "asyncio.Task[T]", seconds: float | None) -> T:
        gone = asyncio.ensure_future(machine.gone.wait())
        try:
            await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED, timeout=seconds)
        finally:
            gone.cancel()
            if not doing.done():
                doing.cancel()
        if not doing.done() or doing.cancelled():
            raise Unavailable("the api did not answer")
        return doing.result()


class Reader:
    """Follows one workflow; leaves and comes back with the last sequence it was shown."""

    def __init__(self, world: "World", workflow_id: str) -> None:
        self._world = world
        self.workflow_id = workflow_id
        self.seen = 0

    async def live(self) -> None:
        rng, weather = self._world.random, self._world.weather
        slow = rng.random() < 0.2
        while True:
            connected = asyncio.ensure_future(self._connect(slow))
            flaps = self._world.strikes(weather.readers_flap * 3)
            await asyncio.wait([connected], timeout=rng.random() * 5 if flaps else None)
            connected.cancel()
            await asyncio.gather(connected, return_exceptions=True)
            await asyncio.sleep(0.2 + rng.random())

    async def _connect(self, slow: bool) -> None:
        async def take(sequences: list[int]) -> None:
            for sequence in sequences:
                if slow:
                    await asyncio.sleep(self._world.random.random() * 0.3)
                self._world.watch.shown(self.workflow_id, self.seen, sequence)
                self.seen = max(self.seen, sequence)

        await self._world.api.follow(self.workflow_id, self.seen, take)
