"""The server's side of the zygote: orders processes from it and replaces it when it dies."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from agentcore_local.birth import Born, Broken, Order, Ready, Report, Stillborn
from agentcore_local.errors import ContainerFailed, StartError
from agentcore_local.exits import on_exit

_log = logging.getLogger(__name__)
_REPORTS: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_LINE_LIMIT = 1024 * 1024


class Nursery:
    def __init__(self, app: str, sessions: Path, log: Path, environment: dict[str, str]) -> None:
        self._app = app
        self._sessions = sessions
        self._log = log
        self._environment = environment
        self._ids = itertools.count(1)
        self._orders: dict[int, asyncio.Future[Born]] = {}
        self._closing = False
        self.zygote: _Zygote | None = None
        self._restart: asyncio.Task[_Zygote] | None = None
        self._starting = asyncio.Lock()
        self._read_life, self._write_life = os.pipe()

    @property
    def pid(self) -> int | None:
        return self.zygote.process.pid if self.zygote else None

    async def start(self) -> Ready:
        """Starts a zygote; raises StartError when it cannot import the app."""
        self.zygote = zygote = await self._spawn()
        try:
            report = await zygote.report()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            report = Broken(reason=f"the process died; see {self._log} ({error!r})")
        if not isinstance(report, Ready):
            self.zygote = None
            reason = report.reason if isinstance(report, Broken | Stillborn) else str(report)
            raise StartError(f"{self._app} cannot be imported:\n{reason}")
        if report.threads:
            _log.warning("importing %s starts %d threads, which sessions lack", self._app, report.threads)
        self._reading = asyncio.create_task(self._read(zygote))
        return report

    async def bear(self, directory: Path, log: Path, environment: dict[str, str]) -> Born:
        """A new process; raises ContainerFailed when the app cannot be started."""
        for _ in range(2):
            zygote = await self._living()
            order = Order(id=next(self._ids), directory=str(directory), log=str(log), environment=environment)
            answer: asyncio.Future[Born] = asyncio.get_running_loop().create_future()
            self._orders[order.id] = answer
            try:
                zygote.writer.write(msgspec.json.encode(order) + b"\n")
                return await answer
            except ConnectionError:
                continue
            finally:
                self._orders.pop(order.id, None)
        raise ContainerFailed(f"the process that starts sessions keeps dying; see {self._log}")

    async def close(self) -> None:
        """Closes the connection, at which the zygote ends whatever sessions are left, then itself."""
        self._closing = True
        os.close(self._write_life)
        os.close(self._read_life)
        if self._restart:
            self._restart.cancel()
        if self.zygote is None:
            return
        self.zygote.writer.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.zygote.exited.wait(), 3)
            return
        self.zygote.process.send_signal(signal.SIGKILL)
        await self.zygote.exited.wait()

    async def _living(self) -> "_Zygote":
        async with self._starting:
            if self._closing:
                raise ContainerFailed("the server is stopping")
            try:
                if self.zygote is None:
                    await self.start()
            except StartError as error:
                _log.error("%s", error)
                raise ContainerFailed(str(error)) from error
            if self.zygote is None:
                raise ContainerFailed(f"the process that starts sessions died; see {self._log}")
            return self.zygote

    async def _spawn(self) -> "_Zygote":
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("ab") as log:
            arguments = [self._app, theirs.fileno(), self._read_life, os.getpid(), self._sessions]
            process = subprocess.Popen(  # noqa: S603, ASYNC220
                [sys.executable, "-m", "agentcore_local.zygote", *map(str, arguments)],
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), self._read_life),
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT)
        return _Zygote(process, reader, writer)

    async def _read(self, zygote: "_Zygote") -> None:
        try:
            while True:
                report = await zygote.report()
                answer = self._orders.get(report.id) if isinstance(report, Born | Stillborn) else None
                if answer is None or answer.done():
                    continue
                if isinstance(report, Born):
                    answer.set_result(report)
                elif isinstance(report, Stillborn):
                    answer.set_exception(ContainerFailed(report.reason))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._lost(zygote)

    def _lost(self, zygote: "_Zygote") -> None:
        zygote.writer.close()
        if self._closing:
            return
        _log.warning("the zygote %d died; starting another", zygote.process.pid)
        self.zygote = None
        self._restart = asyncio.create_task(self._living())
        self._restart.add_done_callback(lambda task: task.cancelled() or task.exception())
        for answer in self._orders.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the zygote died"))


class _Zygote:
    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.writer = writer
        self.exited = asyncio.Event()
        self._reader = reader
        on_exit(process.pid, self._exited)

    async def report(self) -> Report:
        return _REPORTS.decode(await self._reader.readuntil(b"\n"))

    def _exited(self, status: int | None) -> None:
        self.process.returncode = -1 if status is None else os.waitstatus_to_exitcode(status)
        self.exited.set()
