"""The master secret as one machine knows it: read when it is first used, old, or not enough for what was signed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine

_FRESH_SECONDS, _REFRESH_SECONDS = 60.0, 5.0


class KeysClient:
    """``ports.queues.Keys`` for one machine; ``secret`` has the masters, the newest first. Old ones are honoured."""

    def __init__(self, secret: list[bytes], machine: "Machine") -> None:
        self._secret, self._machine = secret, machine
        self._known: tuple[bytes, ...] = ()
        self._read_at = float("-inf")

    async def current(self) -> tuple[int, bytes]:
        masters = await self.all()
        return len(masters), masters[0]

    async def all(self) -> Sequence[bytes]:
        if self._age > _FRESH_SECONDS:
            await self._read()
        return self._known

    async def refresh(self) -> bool:
        if self._age < _REFRESH_SECONDS:
            return False
        await self._read()
        return True

    async def _read(self) -> None:
        self._known = await self._machine.call("keys", lambda: tuple(self._secret))
        self._read_at = self._machine.world.loop.time()

    @property
    def _age(self) -> float:
        return self._machine.world.loop.time() - self._read_at
