"""One HTTP request to a session's process, and the answer as it comes."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import h11

_CHUNK = 65_536
_Headers = list[tuple[bytes, bytes]]


class Exchange:
    """A connection of its own; raises OSError or h11.RemoteProtocolError when the process fails."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, port: int) -> "Exchange":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        given = [("host", "localhost"), *headers, ("content-length", str(len(body)))]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given]
        self._write(h11.Request(method=method, target=target, headers=encoded))
        if body:
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    async def head(self) -> tuple[int, _Headers]:
        """Status and headers, as soon as they are there."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code, [(name.lower(), value) for name, value in event.headers]

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return

    async def text(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def next(self) -> None:
        """Makes the connection ready for another request after a complete answer."""
        self._http.start_next_cycle()

    def close(self) -> None:
        self._writer.close()

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _next(self) -> h11.Event:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_CHUNK))
                continue
            if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("the connection was closed before the answer was complete")
            return event  # type: ignore[return-value]
