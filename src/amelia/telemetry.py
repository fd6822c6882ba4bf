"""Logs: one line each on standard error, with the time, the level and who says it. No secret is in them."""

import logging
import sys
import threading
import time
import traceback
from types import TracebackType

from .redaction import ours


class DiscreetFormatter(logging.Formatter):
    """Cleans the whole of what is written: message, arguments and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return ours().text(super().format(record))


def clean_last_resort() -> None:
    """For a program that starts no log of its own: what is logged all the same."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(DiscreetFormatter())


def tell_last_words() -> None:
    """What ends the program, or a thread of it, is told on standard error as always, without secrets."""
    sys.excepthook = _last_words
    threading.excepthook = lambda said: _last_words(said.exc_type, said.exc_value, said.exc_traceback)


def _last_words(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit):
        sys.stderr.write(ours().text("".join(traceback.format_exception(kind, error, trace))))


def start_logging(service: str, level: str) -> None:
    """Called once, by a service's ``main``."""
    tell_last_words()
    handler = logging.StreamHandler(sys.stderr)
    formatter = DiscreetFormatter(f"%(asctime)s %(levelname)s {service} %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("botocore", "aiobotocore", "urllib3", "asyncio", "httpx", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
