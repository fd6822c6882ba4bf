"""All sessions: starts, finds, ends and cleans up after them."""

import asyncio
import itertools
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from agentcore_local.errors import Conflict, ContainerFailed, NotFound, QuotaExceeded, TooMany
from agentcore_local.exits import on_exit
from agentcore_local.faults import Injector
from agentcore_local.kernel import reap_orphans
from agentcore_local.nursery import Nursery
from agentcore_local.pace import Pace
from agentcore_local.session import Session, SessionKey
from agentcore_local.settings import Settings
from agentcore_local.strays import end_strays
from agentcore_local.watch import watch

_log = logging.getLogger(__name__)
_REAP_EVERY_SECONDS = 1.0


class Sessions:
    def __init__(self, settings: Settings, nursery: Nursery | None, faults: Injector) -> None:
        self._settings = settings
        self._nursery = nursery
        self._faults = faults
        self._sessions: dict[SessionKey, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        rate = settings.limits.new_sessions_per_second
        self._pace = Pace(rate) if rate is not None else None
        self._closing = False

    @property
    def directory(self) -> Path:
        return self._settings.state_dir / "sessions"

    @property
    def logs(self) -> Path:
        return self._settings.state_dir / "logs"

    async def start(self) -> None:
        """Clears the state directory of what a killed server left."""
        await asyncio.to_thread(self._clear)
        self._do(self._reap())

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(
            *(self.end(session, "the server stops", self._settings.shutdown_grace) for session in self.all())
        )
        pending = [task for task in self._tasks if task.get_name() != "endless"]
        if pending:
            await asyncio.wait(pending, timeout=self._settings.shutdown_grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._clear)

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def find(self, key: SessionKey) -> Session:
        session = self._sessions.get(key)
        if session is None:
            raise NotFound(f"there is no session {key.id} of {key.arn}")
        return session

    async def enter(self, key: SessionKey) -> Session:
        """The running session, started if there is none; the caller has to `leave()` it.

        Calls that come while it starts wait for the one process. Raises Conflict while it is stopping.
        """
        session = self._sessions.get(key) or self._admit(key)
        if session.state == "stopping":
            raise Conflict(f"session {key.id} is stopping; try again")
        session.enter()
        try:
            await asyncio.shield(session.started)
        except BaseException:
            session.leave()
            raise
        return session

    async def end(self, session: Session, reason: str, grace: float | None = None) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when the process is gone."""
        if session.state == "starting":
            await asyncio.wait([session.started])
        if session.state == "running":
            _log.info("session %s ends: %s", session.key.id, reason)
            session.state = "stopping"
            session.signal(signal.SIGTERM)
        if session.state == "ended":
            return
        try:
            async with asyncio.timeout(self._settings.stop_grace if grace is None else grace):
                await session.exited.wait()
        except TimeoutError:
            session.signal(signal.SIGKILL)
            await session.exited.wait()

    def stop(self, session: Session, reason: str) -> None:
        """Ends a session in the background; from now on it is stopping."""
        if session.state == "running":
            _log.info("session %s ends: %s", session.key.id, reason)
            session.state = "stopping"
            session.signal(signal.SIGTERM)
        self._do(self.end(session, reason))

    def _admit(self, key: SessionKey) -> Session:
        if self._nursery is None:
            raise NotFound("no runtime is configured; start the server with --app MODULE:ATTRIBUTE")
        if self._closing:
            raise ContainerFailed("the server is stopping")
        most = self._settings.limits.sessions
        if most is not None and len(self._sessions) >= most:
            raise QuotaExceeded(f"{most} sessions are active; end one first")
        if self._pace is not None and not self._pace.allows():
            raise TooMany("too many new sessions per second; try again")
        name = f"{re.sub(r'[^A-Za-z0-9._-]', '_', key.id)[:80]}.{time.time_ns() // 1000}.{next(self._numbers)}"
        session = Session(key, self.directory / name, self.logs / f"{name}.log")
        self._sessions[key] = session
        self._do(self._start(session, self._nursery))
        return session

    async def _start(self, session: Session, nursery: Nursery) -> None:
        try:
            if delay := self._faults.slow_start(session.key.id):
                await asyncio.sleep(delay)
            (session.directory / "tmp").mkdir(parents=True)
            self._prune_logs()
            born = await nursery.bear(session.directory, session.log, self._environment(session))
        except BaseException as error:
            self._forget(session)
            session.started.set_exception(
                error if isinstance(error, Exception) else ContainerFailed("the server is stopping")
            )
            session.started.exception()
            shutil.rmtree(session.directory, ignore_errors=True)
            if not isinstance(error, Exception):
                raise
            return
        session.pid, session.port, session.state = born.pid, born.port, "running"
        on_exit(born.pid, lambda status: self._exited(session, status))
        session.started.set_result(None)
        self._do(self._watch(session))

    def _environment(self, session: Session) -> dict[str, str]:
        """What differs from session to session; AWS gives the container no session id either."""
        home = str(session.directory)
        region = (session.key.arn.split(":") + [""] * 4)[3] or "us-east-1"
        return {
            "HOME": home,
            "PWD": home,
            "TMPDIR": str(session.directory / "tmp"),
            "AWS_REGION": os.environ.get("AWS_REGION", region),
            "OTEL_RESOURCE_ATTRIBUTES": f"cloud.resource_id={session.key.arn}",
        } | self._settings.environment

    async def _watch(self, session: Session) -> None:
        reason = await watch(session, self._settings)
        if reason is not None:
            await self.end(session, reason)

    def _exited(self, session: Session, status: int | None) -> None:
        _log.info("session %s ended (%s)", session.key.id, _told(status))
        self._forget(session)
        if not self._closing:
            self._do(asyncio.to_thread(self._clean, session.directory))

    def _forget(self, session: Session) -> None:
        session.state = "ended"
        session.exited.set()
        if self._sessions.get(session.key) is session:
            del self._sessions[session.key]

    def _clean(self, directory: Path) -> None:
        end_strays(directory)
        shutil.rmtree(directory, ignore_errors=True)

    def _clear(self) -> None:
        """Ends and removes whatever sessions have left, in one look at all processes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        end_strays(self.directory)
        for left in self.directory.iterdir():
            shutil.rmtree(left, ignore_errors=True)

    def _prune_logs(self) -> None:
        """Leaves room for one more log; the oldest go first."""
        logs = sorted(self.logs.glob("*.*.*.log"), key=lambda log: log.stat().st_mtime)
        live = {session.log for session in self.all()}
        for log in logs[: max(0, len(logs) - self._settings.keep_logs + 1)]:
            if log not in live:
                log.unlink(missing_ok=True)

    async def _reap(self) -> None:
        task = asyncio.current_task()
        if task:
            task.set_name("endless")
        while True:
            await asyncio.sleep(_REAP_EVERY_SECONDS)
            known = {session.pid for session in self.all() if session.pid is not None}
            zygote = self._nursery.pid if self._nursery else None
            reap_orphans(known | ({zygote} if zygote else set()))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(status: int | None) -> str:
    if status is None:
        return "its status is unknown"
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
