"""What a session's process does: it takes its place as a container would find it, then serves the app."""

import asyncio
import gc
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from agentcore_local.birth import Order
from agentcore_local.kernel import LINUX, die_with_parent

_ADOPTION_SECONDS = 5.0


class ContainerServer(uvicorn.Server):
    """uvicorn that sleeps until it is asked to exit, instead of looking ten times a second."""

    async def main_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self._wake: Callable[[], object] = lambda: loop.call_soon_threadsafe(self._leaving.set)
        await self.on_tick(0)
        if not self.should_exit:
            await self._leaving.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if hasattr(self, "_wake"):
            self._wake()


def live(order: Order, config: uvicorn.Config, listener: socket.socket, life: int, server: int) -> None:
    """Runs in the forked process until the session ends.

    `life` is a pipe nobody writes to: its end means the server, process id `server`, is gone.
    """
    _reset_signals()
    _bind_to(server, life)
    _settle(order)
    gc.enable()
    ContainerServer(config).run(sockets=[listener])


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _bind_to(server: int, life: int) -> None:
    """Ties this process to the server's life.

    The process between has to be gone first: the kernel would count its end as the parent's death.
    """
    deadline = time.monotonic() + _ADOPTION_SECONDS
    while LINUX and os.getppid() != server:
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(0.0005)
    die_with_parent()
    if LINUX and os.getppid() != server:
        os._exit(1)
    threading.Thread(target=_end_with, args=(life,), name="server-life", daemon=True).start()


def _end_with(life: int) -> None:
    os.read(life, 1)
    os.killpg(0, signal.SIGKILL)


def _settle(order: Order) -> None:
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(empty)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.chdir(order.directory)
    os.environ.update(order.environment)
    tempfile.tempdir = None
