"""Commands that sleep for long and can be told from all others, wherever their process ids are counted."""

import asyncio
import contextlib
import uuid
from pathlib import Path


class Nap:
    def __init__(self) -> None:
        self._length = f"300.{uuid.uuid4().int % 10**9}"
        self.command = f"sleep {self._length}"

    @property
    def count(self) -> int:
        """How many of it run."""
        found = 0
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                found += entry.name.isdigit() and self._is_in((entry / "cmdline").read_bytes())
        return found

    def _is_in(self, command_line: bytes) -> bool:
        return command_line.split(b"\0")[:2] == [b"sleep", self._length.encode()]

    async def begun(self, count: int = 1) -> None:
        while self.count < count:
            await asyncio.sleep(0.01)

    async def gone(self) -> bool:
        """Ends that were ordered take a moment."""
        for _ in range(500):
            if self.count == 0:
                return True
            await asyncio.sleep(0.01)
        return False
