"""The time of a database in memory: the event loop's, so that a loop with a clock of its own decides it."""

import asyncio
from datetime import UTC, datetime, timedelta


class LoopClock:
    """``start`` is what it shows when the loop's own time is zero; ``step`` sets it forth or back from then on."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._offset = timedelta()

    def now(self) -> datetime:
        passed = timedelta(seconds=asyncio.get_running_loop().time())
        if self._start is None:
            self._start = datetime.now(UTC) - passed
        return self._start + passed + self._offset

    def step(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)
