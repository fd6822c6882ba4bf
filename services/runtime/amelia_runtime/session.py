"""What a session is asked, and by which attempt: the newest wins."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from amelia.contract.invocation import Accepted, Invocation
from amelia.errors import Refused

from .attempt import Attempt, Busy, Parts

OpenParts = Callable[[], AbstractAsyncContextManager[Parts]]

DRAIN_SECONDS = 3.0


class Session:
    """One process, one workflow, one attempt at a time. Lives on the event loop it is first asked on."""

    def __init__(self, open_parts: OpenParts, busy: Busy) -> None:
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
            if current and asked.epoch < current.epoch:
                return Accepted(outcome="superseded", epoch=current.epoch, last_fact=current.last_fact)
            if current and asked.epoch == current.epoch:
                outcome = current.again(asked)
                return Accepted(outcome=outcome, epoch=current.epoch, last_fact=current.last_fact)
            if current:
                await current.abandon()
            self._current = Attempt(asked, await self._opened(), self._busy)
            return Accepted(outcome="accepted", epoch=asked.epoch, last_fact=asked.highest_fact)

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
