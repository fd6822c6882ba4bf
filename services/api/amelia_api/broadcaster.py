"""From the journal to everybody who watches: each event is read and encoded once, however many watch.

Live stream and replay are the same query, ``sequence > cursor``. A notification only says that there is something
to read, so a lost one costs time and nothing else.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

from amelia.errors import Unavailable
from amelia.ports.journal import Journal, Stored

log = logging.getLogger(__name__)

_PAGE = 1000
_LOOK_SECONDS = 2.0
"""How often watched workflows are read without a notification."""
MOST_WAITING = 5_000
"""Events that may wait for one reader, about 2 MB; a reader further behind is disconnected and comes back."""

Numbered = tuple[int, str]
"""A sequence, and the event with it as JSON: a frame."""


class TooSlow(Exception):
    """The reader does not keep up."""


class Reader:
    """What has been read for one subscriber and not been taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[Numbered] = deque()
        self._arrived = asyncio.Event()
        self._lost = False

    def offer(self, frames: list[Numbered]) -> None:
        if len(self._waiting) + len(frames) > MOST_WAITING:
            self._lost = True
        else:
            self._waiting.extend(frames)
        self._arrived.set()

    async def take(self, seconds: float) -> list[Numbered]:
        """All that waits; empty when nothing came in time. Raises ``TooSlow`` once too much came."""
        if not self._waiting and not self._lost:
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return []
        self._arrived.clear()
        if self._lost:
            raise TooSlow
        frames = list(self._waiting)
        self._waiting.clear()
        return frames


class _Channel:
    """One watched workflow: how far it has been read, and for whom."""

    def __init__(self, tail: int) -> None:
        self.tail = tail
        self.readers: set[Reader] = set()


class Broadcaster:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._channels: dict[str, _Channel] = {}
        self._unread: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._look())
            group.create_task(self._pump())

    async def follow(
        self, workflow_id: str, after: int, reached: int, idle_seconds: float
    ) -> AsyncIterator[list[Numbered] | None]:
        """Lists of frames above ``after``, without a hole; None when it has caught up; an empty list when idle.

        What the workflow had ``reached`` is replayed at the reader's own pace. Raises ``TooSlow``.
        """
        reader = Reader()
        channel = self._channels.setdefault(workflow_id, _Channel(reached))
        channel.readers.add(reader)
        target = channel.tail
        try:
            while rows := await self._journal.events({workflow_id: after}, _PAGE):
                after = rows[-1].sequence
                yield [(row.sequence, frame(row)) for row in rows]
                if len(rows) < _PAGE and after >= target:
                    break
            yield None
            self._mark(workflow_id)
            while True:
                taken = await reader.take(idle_seconds)
                fresh = [numbered for numbered in taken if numbered[0] > after]
                if fresh or not taken:
                    after = fresh[-1][0] if fresh else after
                    yield fresh
        finally:
            channel.readers.discard(reader)
            if not channel.readers and self._channels.get(workflow_id) is channel:
                del self._channels[workflow_id]

    async def _listen(self) -> None:
        async for reached in self._journal.changes():
            watched = self._channels.keys()
            for workflow_id in reached.keys() & watched if reached else list(watched):
                self._mark(workflow_id)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for workflow_id in self._channels:
                self._mark(workflow_id)

    def _mark(self, workflow_id: str) -> None:
        self._unread.add(workflow_id)
        self._wake.set()

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            unread, self._unread = self._unread, set()
            try:
                await self._read({w: self._channels[w].tail for w in unread if w in self._channels})
            except Exception as error:
                log.warning("the stream waits: %s", error, exc_info=not isinstance(error, Unavailable))
                await asyncio.sleep(0.5)
                self._unread |= unread
                self._wake.set()

    async def _read(self, tails: dict[str, int]) -> None:
        if not tails:
            return
        by_workflow: dict[str, list[Numbered]] = {}
        for row in await self._journal.events(tails, _PAGE):
            by_workflow.setdefault(row.workflow_id, []).append((row.sequence, frame(row)))
        for workflow_id, frames in by_workflow.items():
            channel = self._channels.get(workflow_id)
            if channel is None:
                continue
            frames = [numbered for numbered in frames if numbered[0] > channel.tail]
            if not frames:
                continue
            channel.tail = frames[-1][0]
            for reader in channel.readers:
                reader.offer(frames)
            if len(frames) == _PAGE:
                self._mark(workflow_id)


def frame(row: Stored) -> str:
    return f'{{"sequence":{row.sequence},{row.body[1:]}'
