"""AgentCore: one session per workflow, each a machine of its own with the runtime's real ``Session`` inside."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import msgspec

from amelia.contract.invocation import Invocation
from amelia.errors import AmeliaError, Conflict, Exhausted, NotStarted, Unavailable
from amelia_runtime.attempt import Parts
from amelia_runtime.session import Session

from .carrying import Carrier
from .machine import Machine
from .queues import BusClient

if TYPE_CHECKING:
    from .world import World

IDLE_SECONDS = 900.0


class Container:
    """A session's machine. ``busy`` counts what keeps it alive, as ``/ping`` tells the platform."""

    def __init__(self, world: "World", session_id: str) -> None:
        self.machine = Machine(world, f"session {session_id[-4:]}")
        self.workflow_id = session_id
        self.busy = 0
        self.ending = False
        self._world = world
        began = world.loop.time()
        self._session = Session(self._parts, self._busily, lived=lambda: world.loop.time() - began)

    @asynccontextmanager
    async def _parts(self) -> AsyncIterator[Parts]:
        bus = BusClient(self.machine, self._world.events, [])
        yield Parts(bus=bus, work=Carrier(self._world, self.machine).carry)

    @contextmanager
    def _busily(self) -> Iterator[None]:
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    async def ask(self, payload: bytes) -> bytes:
        asked = msgspec.json.decode(payload, type=Invocation)
        self._world.watch.invoked(asked)
        return msgspec.json.encode(await self._session.accept(asked))


class Platform:
    """All sessions there are, running or ending."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.sessions: dict[str, Container] = {}
        self.all: list[Container] = []

    def session(self, session_id: str) -> Container:
        there = self.sessions.get(session_id)
        if there is None or not there.machine.alive:
            there = self.sessions[session_id] = Container(self._world, session_id)
            self.all.append(there)
        return there

    def running(self) -> list[Container]:
        self.all = [container for container in self.all if container.machine.alive]
        return self.all

    def end(self, session_id: str) -> None:
        there = self.sessions.pop(session_id, None)
        if there is None:
            return
        if self._world.strikes(self._world.weather.stop_disobeyed):
            asyncio.get_running_loop().call_later(self._world.random.random() * 30, there.machine.kill)
        else:
            there.machine.kill()


class RuntimesClient:
    """The platform as one machine reaches it."""

    def __init__(self, platform: Platform, machine: Machine) -> None:
        self._platform, self._machine = platform, machine

    async def invoke(self, session_id: str, payload: bytes) -> bytes:
        world, weather = self._machine.world, self._machine.world.weather
        await self._machine.call("runtimes.invoke", lambda: None)
        if world.strikes(weather.not_started):
            raise NotStarted("the platform throttles")
        if world.strikes(weather.no_room):
            raise Exhausted("the platform has no room for another session")
        if world.strikes(weather.conflicted):
            raise Conflict("the session winds down")
        if world.strikes(weather.slow_start):
            await asyncio.sleep(world.random.random() * 15)
        container = self._platform.session(session_id)
        answering = container.machine.begin(container.ask(payload))
        gone = asyncio.ensure_future(container.machine.gone.wait())
        await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED, timeout=60)
        gone.cancel()
        try:
            answer = answering.result() if answering.done() and not answering.cancelled() else None
        except AmeliaError as error:
            raise Unavailable(f"the runtime answers: {error}") from error
        if answer is None:
            raise Unavailable("the session ended before it answered")
        return await self._machine.call("runtimes.answer", lambda: answer, 0, weather.unanswered)

    async def stop(self, session_id: str) -> bool:
        weather = self._machine.world.weather
        await self._machine.call(
            "runtimes.stop", lambda: self._platform.end(session_id), weather.stop_fails, weather.unanswered
        )
        return True
