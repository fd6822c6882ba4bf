"""The platform that runs sessions, each on a machine of its own that can crash at any moment."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import msgspec

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.invocation import Invocation
from amelia.contract.workflow import ClaimCheck
from amelia.drivers.cast import Cast
from amelia.errors import Conflict, Unavailable
from amelia.memory.local import LocalMemory
from amelia.ports.queues import Announcement, Bus
from amelia_runtime.attempt import Parts
from amelia_runtime.session import Session
from amelia_runtime.working import Workshop

from .script import MODEL, Agents, Script

Moment = Callable[[], Awaitable[None]]


class Machine:
    """One process of a runtime. ``fuse`` is after how many moments it crashes: a model's turn, a write to the object
    store and a publish have a moment before them and one behind."""

    def __init__(self, session_id: str, bus: Bus, script: Script, folder: Path, fuse: int) -> None:
        self.session_id = session_id
        self._bus = bus
        self._script = script
        self._folder = folder
        self._fuse = fuse
        self.dead = False
        self.session = Session(self._open, nullcontext)
        self.ended: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Parts]:
        workshop = Workshop(
            objects=FragileObjects(self._folder / "objects", self.moment),
            memory=LocalMemory(self._folder / "memory"),
            environ={},
            pauses=(0.1, 0.5),
            chooses=lambda profile, environ: Cast.single(Agents(self._script, self.moment), MODEL),
        )
        yield Parts(bus=self, work=workshop.carry)

    async def publish(self, messages: Sequence[Announcement]) -> None:
        """What a dead machine says goes nowhere."""
        self._burn()
        if not self.dead:
            await self._bus.publish(messages)
            self._burn()

    async def moment(self) -> None:
        """Never returns on a machine that has crashed."""
        self._burn()
        if self.dead:
            await asyncio.Event().wait()

    def crash(self) -> None:
        self.dead = True
        self.end()

    def end(self) -> asyncio.Task[None]:
        if self.ended is None:
            self.ended = asyncio.create_task(self.session.close())
        return self.ended

    def _burn(self) -> None:
        self._fuse -= 1
        if self._fuse == 0 and not self.dead:
            self.crash()


class FragileObjects(FolderObjects):
    def __init__(self, root: Path, moment: Moment) -> None:
        super().__init__(root)
        self._moment = moment

    async def write(self, key: str, data: bytes) -> None:
        await self._moment()
        await super().write(key, data)
        await self._moment()

    async def get(self, claim: ClaimCheck) -> bytes:
        await self._moment()
        return await super().get(claim)


class Machines:
    """Implements ``ports.queues.Runtimes``. ``fuses`` are those of a workflow's next machines, the first one first;
    ``unanswered`` is how many answers to invocations are lost; who is only asked is not among the ``invocations``."""

    def __init__(self, bus: Bus, script: Script, folder: Path) -> None:
        self._bus = bus
        self._script = script
        self._folder = folder
        self._all: list[Machine] = []
        self.running: dict[str, Machine] = {}
        self.leaving: dict[str, Machine] = {}
        self.fuses: dict[str, list[int]] = {}
        self.unanswered = 0
        self.obeys = True
        self.before: Callable[[Invocation], Awaitable[None]] | None = None
        self.invocations: list[Invocation] = []

    @property
    def crashes(self) -> int:
        return sum(machine.dead for machine in self._all)

    async def invoke(self, session_id: str, payload: bytes) -> bytes:
        asked = msgspec.json.decode(payload, type=Invocation)
        if self.before is not None:
            await self.before(asked)
        if asked.purpose == "work":
            self.invocations.append(asked)
        leaving = self.leaving.get(session_id)
        if leaving is not None and not leaving.end().done():
            raise Conflict("the session is winding down; invoke it again in a moment")
        accepted = await self._machine(session_id).session.accept(asked)
        if self.unanswered:
            self.unanswered -= 1
            raise Unavailable("the answer did not arrive; whether it was taken is not known")
        return msgspec.json.encode(accepted)

    async def stop(self, session_id: str) -> bool:
        if not self.obeys:
            raise Unavailable("the platform is away; try again")
        machine = self.running.pop(session_id, None)
        if machine is not None and not machine.dead:
            self.leaving[session_id] = machine
            machine.end()
        return True

    def crashed(self, session_id: str) -> int:
        """How many of its machines."""
        return sum(machine.dead for machine in self._all if machine.session_id == session_id)

    def lives(self, session_id: str) -> bool:
        machine = self.running.get(session_id)
        return machine is not None and not machine.dead

    async def close(self) -> None:
        await asyncio.gather(*(machine.end() for machine in self._all))
        for session_id in {asked.workflow_id for asked in self.invocations}:
            for folder in self.left_behind(session_id):
                shutil.rmtree(folder, ignore_errors=True)

    def left_behind(self, session_id: str) -> list[Path]:
        """Directories of its attempts."""
        return [*Path(tempfile.gettempdir()).glob(f"amelia-{session_id}-*")]

    def _machine(self, session_id: str) -> Machine:
        machine = self.running.get(session_id)
        if machine is None or machine.dead:
            fuses = self.fuses.get(session_id)
            machine = Machine(session_id, self._bus, self._script, self._folder, fuses.pop(0) if fuses else 0)
            self.running[session_id] = machine
            self._all.append(machine)
        return machine
