"""Group commit: what is queued while a transaction is under way goes into the next one together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ...domain.effects import Change
from ...errors import Unavailable
from .transaction import Changed

_MOST = 128
"""Changes in one transaction; beyond it, waiting grows faster than throughput."""
_MOST_WAITING = 4_000
"""Changes that wait for a transaction; beyond it, who comes is told to come again rather than kept waiting."""


class GroupCommit:
    """``submit`` answers when the change is committed; it raises ``Unavailable`` at once when too many wait already.
    Nothing is lingered for: an idle group commits at once."""

    def __init__(self, apply: Callable[[Sequence[Change]], Awaitable[list[Changed]]]) -> None:
        self._apply = apply
        self._queue: deque[tuple[Change, asyncio.Future[Changed]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, change: Change) -> Changed:
        if len(self._queue) >= _MOST_WAITING:
            raise Unavailable(f"{len(self._queue)} changes wait for the database already; try again later")
        answer: asyncio.Future[Changed] = asyncio.get_running_loop().create_future()
        self._queue.append((change, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def close(self) -> None:
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_MOST, len(self._queue)))]
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Change, "asyncio.Future[Changed]"]]) -> None:
        """When the transaction fails for a reason of its own, each change is tried alone."""
        try:
            answers = await self._apply([change for change, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:
                    await self._commit([one])
                return
            answers = [Changed(row=None, error=error) for _ in batch]
        for (_, answer), changed in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(changed)
