"""One session: its process and what is known about it."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Literal

import msgspec

State = Literal["starting", "running", "stopping", "ended"]


class SessionKey(msgspec.Struct, frozen=True):
    """A session belongs to a runtime; the qualifier does not tell sessions apart."""

    arn: str
    id: str


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """What /ping answered; `time_of_last_update` in seconds since 1970, None when it was left out."""

    status: Literal["Healthy", "HealthyBusy"]
    time_of_last_update: float | None = None


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session as `GET /_sessions` shows it; times in seconds."""

    id: str
    arn: str
    pid: int | None
    state: State
    started: float
    status: str | None
    busy: bool
    invocations: int
    in_flight: int
    idle: float
    log: str


class Session:
    """Changes only on the event loop's thread."""

    def __init__(self, key: SessionKey, directory: Path, log: Path) -> None:
        self.key = key
        self.directory = directory
        self.log = log
        self.state: State = "starting"
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.exited = asyncio.Event()
        self.pid: int | None = None
        self.port = 0
        self.ping: Ping | None = None
        self.invocations = 0
        self.in_flight = 0
        self.began = time.time()
        self._active = self._born = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self._born

    @property
    def idle(self) -> float:
        """Seconds without an invocation and without a reason in /ping to be kept."""
        return 0.0 if self.in_flight else time.monotonic() - self._active

    def enter(self) -> None:
        self.invocations += 1
        self.in_flight += 1

    def leave(self) -> None:
        self.in_flight -= 1
        self._active = time.monotonic()

    def note(self, ping: Ping | None) -> None:
        """Takes an answer of /ping, None when there was none.

        As on AWS: HealthyBusy counts only with a time of last update; Healthy counts from that time on,
        so a runtime that always says "now" is never idle.
        """
        self.ping = ping
        if ping is None or ping.time_of_last_update is None:
            return
        now = time.monotonic()
        since = 0.0 if ping.status == "HealthyBusy" else max(0.0, time.time() - ping.time_of_last_update)
        self._active = max(self._active, now - since)

    def signal(self, number: signal.Signals) -> None:
        if self.pid is not None and not self.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def view(self) -> SessionView:
        return SessionView(
            id=self.key.id,
            arn=self.key.arn,
            pid=self.pid,
            state=self.state,
            started=self.began,
            status=self.ping.status if self.ping else None,
            busy=self.in_flight > 0 or (self.ping is not None and self.ping.status == "HealthyBusy"),
            invocations=self.invocations,
            in_flight=self.in_flight,
            idle=self.idle,
            log=str(self.log),
        )
