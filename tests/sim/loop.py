"""An event loop without input, output or wall clock: a seed decides the order of all that could run now.

Time passes only when nothing can run. The same seed gives the same run, to the byte.
"""

import asyncio
import contextlib
import gc
import heapq
import os
import random
import sys
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
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
        self._tasks = self._timers = 0
        self._ready: deque[asyncio.Handle] = deque()
        self._waits: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.set_task_factory(self._numbered)
        self.set_exception_handler(lambda _, __: None)

    def time(self) -> float:
        return self._passed

    def _write_to_self(self) -> None:
        pass

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers += 1
        heapq.heappush(self._waits, (when, self._timers, timer))
        return timer

    def _numbered(
        self, loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None, **_: Any
    ) -> SimTask:
        self._tasks += 1
        return SimTask(self._tasks, coro, loop=loop, context=context)

    def _run_once(self) -> None:
        """In place of the base class's, which asks a selector and the clock."""
        self.steps += 1
        if self.steps > self._most_steps:
            raise Stuck(f"still not at rest after {self._most_steps} steps")
        self._pass_time()
        handles = list(self._ready)
        self._ready.clear()
        if len(handles) > 1:
            handles.sort(key=_number)
            self.random.shuffle(handles)
        for handle in handles:
            if not handle._cancelled:
                handle._run()

    def _pass_time(self) -> None:
        """To the next moment that something waits for, when nothing can run now."""
        ready, waits = self._ready, self._waits
        while waits and (not ready or waits[0][0] <= self._passed):
            when, _, timer = heapq.heappop(waits)
            if not timer._cancelled:
                self._passed = max(self._passed, when)
                ready.append(timer)
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            raise Stuck("nothing can run, and nothing is waited for that time would bring")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""


class Never(asyncio.Event):
    """An event that nobody sets; to wait for it costs nothing."""

    def wait(self) -> "asyncio.Future[Literal[True]]":  # type: ignore[override]
        return asyncio.get_running_loop().create_future()


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
