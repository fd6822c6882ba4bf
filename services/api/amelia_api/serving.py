"""The server: uvicorn, and an end for peers that never finish asking, never answer or never read."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

HEAD_SECONDS = 15.0
"""Within which a new connection must have asked for something."""
STALLED_SECONDS = 60.0
"""For which a peer may leave everything unread that it is sent."""
CLOSING_SECONDS = 5.0
"""After which a connection that was closed is gone, its last words read or not."""
DRAIN_SECONDS = 5
LARGEST_MESSAGE = 65_536
"""Bytes that a viewer may send at once. What it sends means nothing."""


class _Ending(asyncio.Protocol):
    """Aborts the transport of a peer that stays away: closing it would wait for ever until all is sent."""

    transport: asyncio.Transport
    _timers: dict[str, asyncio.TimerHandle]

    def _abort_in(self, seconds: float, why: str) -> None:
        self._forget(why)
        self._timers[why] = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def _forget(self, why: str) -> None:
        timer = self._timers.pop(why, None)
        if timer is not None:
            timer.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._timers = {}
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_in(STALLED_SECONDS, "stalled")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget("stalled")

    def connection_lost(self, exc: Exception | None) -> None:
        for why in list(self._timers):
            self._forget(why)
        super().connection_lost(exc)


class Http(_Ending, H11Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._timers["head"] = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.cycle is None and self in self.connections:
            self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_in(CLOSING_SECONDS, "closing")


class Socket(_Ending, WebSocketsSansIOProtocol):
    async def send(self, message: "ASGISendEvent") -> None:
        """A handshake that got an answer is over too; uvicorn would complain of it in the log."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_in(0, "silent")

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_in(1, "closing")

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._abort_in(CLOSING_SECONDS, "over")


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it. Its end tells every stream to come back before it closes anything."""

    def __init__(self, app: Litestar, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=Http,
                ws=Socket,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                ws_max_size=LARGEST_MESSAGE,
            )
        )
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def stop_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.should_exit = True

    async def shutdown(self, sockets: object = None) -> None:
        self._app.state.broadcaster.drain()
        await super().shutdown()
