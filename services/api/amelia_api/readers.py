"""What waits for those who watch, bounded in bytes: for each of them, and for all of them together."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Generic, TypeVar

Place = TypeVar("Place")

MOST_WAITING = 4_000_000
"""Bytes that may wait for one reader; one further behind is disconnected and comes back."""
MOST_WAITING_IN_ALL = 128_000_000
"""Bytes that may wait in this process. Above it, whoever already has something waiting is disconnected."""
_OVERHEAD = 100


class TooSlow(Exception):
    """The reader does not keep up."""


class Ending(Exception):
    """This server stops; another one, or its next run, goes on."""


def size_of(texts: Sequence[str]) -> int:
    return _OVERHEAD * len(texts) + len("".join(texts).encode())


class Room:
    """How much waits in this process. What waits for several readers is counted for each."""

    def __init__(self) -> None:
        self.waiting = 0

    def has(self, of_reader: int, size: int) -> bool:
        """A reader with nothing waiting is always given the next: it is in memory already."""
        fits = of_reader + size <= MOST_WAITING and self.waiting + size <= MOST_WAITING_IN_ALL
        return fits or of_reader == 0


class Reader(Generic[Place]):
    """What has been read for one subscriber and not been taken yet: texts with their places."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: list[tuple[Place, str]] = []
        self._size = 0
        self._arrived = asyncio.Event()
        self._over: type[Exception] | None = None

    def offer(self, frames: Sequence[tuple[Place, str]], size: int) -> None:
        """``size`` is that of the frames' texts."""
        if self._over is not None:
            return
        if not self._room.has(self._size, size):
            self.leave(TooSlow)
            return
        self._waiting.extend(frames)
        self._size += size
        self._room.waiting += size
        self._arrived.set()

    def leave(self, why: type[Exception] = Ending) -> None:
        """Nothing is kept for it any more, and ``take`` raises ``why``."""
        self._clear()
        self._over = why
        self._arrived.set()

    async def take(self, seconds: float) -> list[tuple[Place, str]]:
        """All that waits; empty when nothing came in time. Raises ``TooSlow`` once too much came, or ``Ending``."""
        if not self._waiting and self._over is None:
            with contextlib.suppress(TimeoutError):  # and yet something may have come in the same moment
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
        self._arrived.clear()
        if self._over is not None:
            raise self._over
        return self._clear()

    def _clear(self) -> list[tuple[Place, str]]:
        taken, self._waiting = self._waiting, []
        self._room.waiting -= self._size
        self._size = 0
        return taken
