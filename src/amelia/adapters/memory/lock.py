"""Locks by name, for all who share a database."""

import asyncio


class Locks:
    """A lock is kept only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def join(self, name: str) -> asyncio.Lock:
        self._users[name] = self._users.get(name, 0) + 1
        return self._locks.setdefault(name, asyncio.Lock())

    def wanted(self, name: str) -> bool:
        """By somebody else than the one who has just joined."""
        return self._users[name] > 1

    def leave(self, name: str, *, release: bool = False) -> None:
        if release:
            self._locks[name].release()
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name], self._locks[name]


class Held:
    """With ``wait`` it is entered when the lock is free; without, at once, saying whether it was."""

    def __init__(self, locks: Locks, name: str, *, wait: bool) -> None:
        self._locks = locks
        self._name = name
        self._wait = wait
        self._mine = False

    async def __aenter__(self) -> bool:
        lock, wanted = self._locks.join(self._name), self._locks.wanted(self._name)
        try:
            if self._wait or not wanted:
                await lock.acquire()
                self._mine = True
        finally:
            if not self._mine:
                self._locks.leave(self._name)
        return self._mine

    async def __aexit__(self, *exc: object) -> None:
        if self._mine:
            self._locks.leave(self._name, release=True)
