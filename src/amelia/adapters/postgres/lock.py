"""Fleet-wide locks: an advisory lock of the database, held as long as its connection."""

import hashlib

from .pool import Pool, unavailable


class Lock:
    """With ``wait`` it is entered when the lock is free; without, at once, saying whether it was."""

    def __init__(self, pool: Pool, name: str, *, wait: bool) -> None:
        self._pool = pool
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._wait = wait
        self._held = False

    async def __aenter__(self) -> bool:
        async with unavailable():
            self._connection = await self._pool.acquire()
            try:
                if self._wait:
                    await self._connection.execute("SELECT pg_advisory_lock($1)", self._key)
                    self._held = True
                else:
                    self._held = bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key))
            except BaseException:
                await self._pool.release(self._connection)
                raise
        return self._held

    async def __aexit__(self, *exc: object) -> None:
        """Giving the connection back releases what it holds, also when it is broken: then the database has."""
        async with unavailable():
            await self._pool.release(self._connection)
