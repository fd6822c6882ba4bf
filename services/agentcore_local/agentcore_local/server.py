"""Serves the data plane on a port, for as long as its process lives."""

import asyncio
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agentcore_local.errors import StartError
from agentcore_local.kernel import adopt_orphans
from agentcore_local.listening import listen
from agentcore_local.plane import DataPlane
from agentcore_local.settings import Settings

_KEEP_ALIVE_SECONDS = 120
_REQUEST_GRACE_SECONDS = 1
_BACKLOG = 2048


class _Protocol(H11Protocol):
    """Tells the application its transport, so that it can lose an answer on purpose."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()


def create_app(settings: Settings) -> DataPlane:
    """The ASGI application, for a server of one's own. Its process should have no other children:
    it adopts, and takes the exit statuses of, whatever its sessions leave."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    adopt_orphans()
    return DataPlane(msgspec.structs.replace(settings, state_dir=settings.state_dir.resolve()))


def bind(host: str, port: int) -> socket.socket:
    """Raises StartError when the port is taken."""
    try:
        return listen(host, port, _BACKLOG)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error


async def serve(settings: Settings, listener: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serves until SIGTERM or SIGINT, calls `ready` once when requests are answered.

    Raises StartError when the state directory is in use or the runtime's app cannot be imported.
    """
    with _lock(settings.state_dir):
        plane = create_app(settings)
        config = uvicorn.Config(
            plane,
            http=_Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_REQUEST_GRACE_SECONDS,
        )
        try:
            await plane.start()
            await _Server(config, ready).serve(sockets=[listener])
        finally:
            await plane.close()


def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """`serve` on the settings' host and port, from a process that does nothing else."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with bind(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        asyncio.run(serve(settings, listener, lambda: ready(address)))


def _leave(number: int, frame: FrameType | None) -> None:
    """Before and after uvicorn listens to signals: `serve` still ends what it has started."""
    raise SystemExit(0)


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise StartError(f"{directory} is in use by another agentcore-local; choose another --state-dir") from error
    try:
        yield
    finally:
        os.close(file)
