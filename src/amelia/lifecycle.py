"""How a service lives: waits for what it needs, works until it is told to stop, and ends."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .errors import AmeliaError, Unavailable
from .settings import Settings, load
from .telemetry import start_logging

log = logging.getLogger(__name__)
T = TypeVar("T")


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


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def serve(service: str, run: Callable[[Settings], Awaitable[None]]) -> None:
    """The body of a service's ``main``. Errors of ours end it with one sentence and status 1."""
    try:
        settings = load()
        start_logging(service, settings.log_level)
        asyncio.run(_awaited(run, settings))
    except AmeliaError as error:
        sys.exit(f"amelia-{service}: {error}")


async def _awaited(run: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    await run(settings)
