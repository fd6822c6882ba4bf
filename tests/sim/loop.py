"""An event loop without input, output or wall clock: a seed decides the order of all that could run now.

Time passes only when nothing can run. The same seed gives the same run, to the byte.
"""

import asyncio
import contextlib
import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

T = TypeVar("T")
BEGINNING = datetime(2026, 11, 22, 12, tzinfo=UTC)

OWNER: ContextVar[object] = ContextVar("OWNER", default=None)
"""Whose task it is: inherited by the tasks that a task begins, so that all of a machine's can be ended."""


class Stuck(Exception):
    """Nothing can run and no time is waited for, or far too much has run."""


class SimTask(asyncio.Task[Any]):
    """Numbered in the order in which tasks begin, which does not depend on addresses."""

    def __init__(self, number: int, coro: Any, *, loop: asyncio.AbstractEventLoop, context: Context | None) -> None:
        self.number = number
        self.owner = context.get(OWNER) if context else OWNER.get()
        super().__init__(coro, loop=loop, context=context)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    def __init__(self, seed: str, most_steps: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.steps = 0
        self._most_steps = most_steps
        self._passed = 0.0
        self._tasks = 0
        self._selector = self
        self._clock_resolution = 1e-9
        self.set_task_factory(self._numbered)
        self.set_exception_handler(lambda _, __: None)

    def time(self) -> float:
        return self._passed

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing can run, and nothing is waited for that time would bring")
        self._passed += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _numbered(
        self, loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None, **_: Any
    ) -> SimTask:
        self._tasks += 1
        return SimTask(self._tasks, coro, loop=loop, context=context)

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps > self._most_steps:
            raise Stuck(f"still not at rest after {self._most_steps} steps")
        ready = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1:
            shuffled = sorted(ready, key=_number)
            self.random.shuffle(shuffled)
            ready.clear()
            ready.extend(shuffled)
        super()._run_once()  # type: ignore[misc]


def _number(handle: asyncio.Handle) -> int:
    """Of the task it belongs to: sets of tasks are walked in the order of their addresses."""
    return getattr(getattr(handle._callback, "__self__", None), "number", 0)  # type: ignore[attr-defined]


class SimDatetime(datetime):
    """Its ``now`` is the virtual one."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return (BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())).astimezone(tz)

    @classmethod
    def fromisoformat(cls, text: str) -> datetime:  # type: ignore[override]
        return datetime.fromisoformat(text)


@contextlib.contextmanager
def determined(seed: str) -> Iterator[None]:
    """Randomness of the operating system and the time of day, as our modules see them, come from the seed."""
    source, urandom = random.Random(f"{seed}/urandom"), os.urandom
    ours = [m for name, m in sys.modules.items() if name.startswith("amelia") and getattr(m, "datetime", 0) is datetime]
    drawn = random.getstate()
    random.seed(seed)
    os.urandom = source.randbytes
    for module in ours:
        module.datetime = SimDatetime  # type: ignore[attr-defined]
    try:
        yield
    finally:
        os.urandom = urandom
        random.setstate(drawn)
        for module in ours:
            module.datetime = datetime  # type: ignore[attr-defined]


def simulate(seed: str, main: Callable[[SimLoop], Coroutine[Any, Any, T]], most_steps: int = 150_000) -> T:
    """Runs ``main`` to its end and ends every task that it left behind."""
    loop = SimLoop(seed, most_steps)
    collects = gc.isenabled()
    gc.disable()  # it would end forgotten generators at a moment that no seed decides
    with determined(seed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            return loop.run_until_complete(main(loop))
        finally:
            _end(loop)
            if collects:
                gc.enable()


def _end(loop: SimLoop) -> None:
    loop.steps = 0
    for _ in range(50):
        left = sorted((task for task in asyncio.all_tasks(loop)), key=hash)
        if not left:
            break
        for task in left:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(asyncio.wait(left, timeout=30))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
