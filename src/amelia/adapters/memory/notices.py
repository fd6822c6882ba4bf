"""Notifications to whoever listens, joined while nobody takes them."""

import asyncio
from collections.abc import AsyncIterator, Mapping


class Notices:
    def __init__(self) -> None:
        self._listeners: list[tuple[dict[str, int], asyncio.Event]] = []

    def say(self, reached: Mapping[str, int]) -> None:
        for told, arrived in self._listeners:
            told.update({w: max(n, told.get(w, 0)) for w, n in reached.items()})
            arrived.set()

    async def hear(self) -> AsyncIterator[dict[str, int]]:
        """The first answer is empty: what was said before is for the listener to find."""
        told, arrived = dict[str, int](), asyncio.Event()
        self._listeners.append((told, arrived))
        try:
            yield {}
            while True:
                await arrived.wait()
                arrived.clear()
                taken = dict(told)
                told.clear()
                yield taken
        finally:
            self._listeners = [one for one in self._listeners if one[1] is not arrived]
