"""A machine: the tasks of one of the fleet's programs, killed or stopped together, and its calls to the outside."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from amelia.errors import AmeliaError, Unavailable

from .loop import OWNER, SimTask

if TYPE_CHECKING:
    from .world import World

T = TypeVar("T")


class Machine:
    """Killed, it runs no further: its tasks are cancelled, and whatever they still ask for has no effect."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.gone = asyncio.Event()
        self._sleeps_until = 0.0
        self._context = copy_context()
        self._context.run(OWNER.set, self)

    def begin(self, doing: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        return asyncio.get_running_loop().create_task(doing, context=self._context)

    def kill(self) -> None:
        if not self.alive:
            return
        self.world.trace("killed", self.name)
        self.alive = False
        self.gone.set()
        tasks = [task for task in asyncio.all_tasks() if isinstance(task, SimTask) and task.owner is self]
        for task in sorted(tasks, key=hash):
            task.cancel()

    def stop(self, seconds: float) -> None:
        """As SIGSTOP does, and SIGCONT after so long."""
        self.world.trace("stopped", self.name, f"{seconds:.1f}")
        self._sleeps_until = asyncio.get_running_loop().time() + seconds

    async def call(self, what: str, effect: Callable[[], T], away: float = 0, unknown: float = 0, cause: str = "") -> T:
        """One exchange with the outside: it may never get there, and its answer may never come back."""
        world, kill = self.world, self.world.weather.kill_at_call
        await self._pass()
        if world.strikes(kill):
            self.kill()
        if world.strikes(away):
            raise Unavailable(f"{cause or what} is away")
        self._check()
        try:
            answer = effect()
        except AmeliaError as error:
            world.trace(what, self.name, f"{type(error).__name__}: {error}")
            raise
        world.trace(what, self.name)
        if world.strikes(kill):
            self.kill()
        await self._pass()
        if world.strikes(unknown):
            raise Unavailable(f"{cause or what} did not answer")
        return answer

    async def _pass(self) -> None:
        world = self.world
        if world.strikes(world.weather.slow):
            await asyncio.sleep(world.random.choice((0.3, 1.0, 3.0)))
        elif (drawn := world.random.random()) < 0.5:
            await asyncio.sleep(drawn * 0.04 if drawn > 0.25 else 0)
        while (sleeps := self._sleeps_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(sleeps)
        self._check()

    def _check(self) -> None:
        if not self.alive:
            raise asyncio.CancelledError
