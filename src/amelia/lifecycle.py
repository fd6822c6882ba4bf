"""How a service lives: waits for what it needs, works until it is told to stop, and ends."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from .errors import AmeliaError, Unavailable
from .redaction import ours
from .settings import Settings, load
from .telemetry import start_logging

log = logging.getLogger(__name__)
T = TypeVar("T")

_DRAIN_SECONDS = 7.0
_END_SECONDS = 9.5


async def until_available(what: str, attempt: Callable[[], Awaitable[T]], pause_seconds: float = 0.2) -> T:
    """Tries again for as long as it takes: a service outlives its dependencies' absence."""
    said = ""
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            if str(error) != said:
                said = str(error)
                log.info("waiting for %s: %s", what, error)
            await asyncio.sleep(pause_seconds)


def ready() -> None:
    """This service has all it needs: its number is written where ``AMELIA_READY_FILE`` says, for who waits for it."""
    if path := os.environ.get("AMELIA_READY_FILE"):
        Path(path).write_text(str(os.getpid()))


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


Run = Callable[[Settings, asyncio.Event], Awaitable[None]]
"""A service: works until the event is set, then settles what is in hand and returns."""


def serve(service: str, run: Run) -> None:
    """The body of a service's ``main``. Errors of ours end it with one sentence and status 1."""
    try:
        settings = load()
        start_logging(service, settings.log_level)
        asyncio.run(_until_stopped(run, settings))
    except AmeliaError as error:
        sys.exit(ours().text(f"amelia-{service}: {error}"))


async def _until_stopped(run: Run, settings: Settings) -> None:
    """Told to stop, it ends within ten seconds, whatever it waits for: everything in hand is safe elsewhere."""
    stop = stop_on_signals()
    working = asyncio.ensure_future(run(settings, stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        asyncio.get_running_loop().call_later(_END_SECONDS, os._exit, 1)
        await asyncio.wait((working,), timeout=_DRAIN_SECONDS)
        working.cancel()
    stopping.cancel()
    try:
        await working
    except asyncio.CancelledError:
        log.warning("stopped before everything in hand was settled; it comes again")
