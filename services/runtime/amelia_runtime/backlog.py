"""What a run has said and the bus has not yet taken: in order, every fact, and as much progress as fits."""

from collections import deque

import msgspec

from amelia.contract.envelope import Event
from amelia.ports.queues import Announcement


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    announcement: Announcement


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Not numbered before it is taken, so that what is dropped leaves no hole. ``last_fact`` was said before it."""

    event: Event
    last_fact: int


class Backlog:
    """``room`` is how many pieces of progress are kept; beyond it the oldest go."""

    def __init__(self, room: int) -> None:
        self._facts: deque[tuple[int, Fact]] = deque()
        self._progress: deque[tuple[int, Progress]] = deque(maxlen=room)
        self._place = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._facts) + len(self._progress)

    def add(self, item: Fact | Progress) -> None:
        self._place += 1
        if isinstance(item, Fact):
            self._facts.append((self._place, item))
            return
        self.dropped += len(self._progress) == self._progress.maxlen
        self._progress.append((self._place, item))

    def take(self, most: int) -> list[Fact | Progress]:
        """The oldest, in the order they were added."""
        return [self._oldest() for _ in range(min(most, len(self)))]

    def _oldest(self) -> Fact | Progress:
        if self._facts and (not self._progress or self._facts[0][0] < self._progress[0][0]):
            return self._facts.popleft()[1]
        return self._progress.popleft()[1]

    def clear(self) -> None:
        self._facts.clear()
        self._progress.clear()
