"""What a session is asked, and by which attempt: the newest wins."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Literal

from amelia.contract.invocation import Accepted, Invocation
from amelia.errors import Refused

from .attempt import Attempt, Busy, Parts
from .lifetime import seconds_lived

OpenParts = Callable[[], AbstractAsyncContextManager[Parts]]

DRAIN_SECONDS = 3.0


class Session:
    """One process, one workflow, one attempt at a time. Lives on the event loop it is first asked on.
    ``lived``: for how many seconds the process has been there."""

    def __init__(self, open_parts: OpenParts, busy: Busy, *, lived: Callable[[], float] = seconds_lived) -> None:
        self._lived = lived
        self._open_parts = open_parts
        self._busy = busy
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._parts: Parts | None = None
        self._workflow_id = ""
        self._current: Attempt | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    async def accept(self, asked: Invocation) -> Accepted:
        """Answers at once; the work goes on behind the answer. An older attempt has been silenced by then.

        Raises ``Refused`` for the workflow of another session.
        """
        self.loop = asyncio.get_running_loop()
        async with self._lock:
            if self._workflow_id not in ("", asked.workflow_id):
                raise Refused(f"this session works for {self._workflow_id}; invoke {asked.workflow_id} on its own")
            self._workflow_id = asked.workflow_id
            current = self._current
            if asked.purpose == "ask":
                return await self._told(asked)
            if current and asked.epoch < current.epoch:
                return Accepted(outcome="superseded", epoch=current.epoch, last_fact=current.last_fact)
            if current and asked.epoch == current.epoch:
                outcome = current.again(asked)
                return Accepted(outcome=outcome, epoch=current.epoch, last_fact=current.last_fact)
            if current:
                await current.abandon()
            begun = self.loop.time() - self._lived()
            self._current = Attempt(asked, await self._opened(), self._busy, begun)
            return Accepted(outcome="accepted", epoch=asked.epoch, last_fact=asked.highest_fact)

    async def _told(self, asked: Invocation) -> Accepted:
        """Whether that attempt is at work here. Nothing is started; but an attempt that is older than what is asked
        about has been replaced, and ends."""
        current = self._current
        if current is None:
            return Accepted(outcome="idle", epoch=0)
        if asked.epoch > current.epoch:
            await current.abandon()
        if asked.epoch < current.epoch:
            outcome: Literal["accepted", "duplicate", "superseded", "idle"] = "superseded"
        elif asked.epoch > current.epoch or not current.alive:
            outcome = "idle"
        else:
            outcome = "duplicate" if current.knows(asked.command_id) else "accepted"
        return Accepted(outcome=outcome, epoch=current.epoch, last_fact=current.last_fact)

    async def close(self) -> None:
        """Stops the work; what is on its way to the bus has a few seconds to get there."""
        async with self._lock:
            if self._current:
                await self._current.stop(DRAIN_SECONDS)
            await self._stack.aclose()

    async def _opened(self) -> Parts:
        if self._parts is None:
            self._parts = await self._stack.enter_async_context(self._open_parts())
        return self._parts
