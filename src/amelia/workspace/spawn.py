"""A child in a session of its own, which ends with everything it started."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from .tether import PROGRAM

DRAIN_SECONDS = 2
"""How long output is waited for from a grandchild that left the session and outlives it."""
MOST_KEPT = 16 * 1024 * 1024
"""Bytes of a whole output."""


class Exit(msgspec.Struct, frozen=True):
    """``code`` is negative for a signal, as in ``subprocess``. ``output``, of ``size`` bytes, may have lost its middle;
    ``errors`` have not."""

    code: int
    output: bytes
    errors: bytes = b""
    timed_out: bool = False
    size: int = 0

    @property
    def last_line(self) -> str:
        lines = (self.errors.strip() or self.output.strip()).decode(errors="replace").splitlines()
        return lines[-1].strip() if lines else f"it ended with {self.code}"


async def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stdin: bytes | None = None,
    merge: bool = False,
    limit: int = 0,
    tied: bool = False,
    whole: Path | None = None,
) -> Exit:
    """``merge`` sends errors where the output goes; ``limit`` (bytes) elides the middle of what is longer; all of it is
    written to the file ``whole``, up to ``MOST_KEPT``.

    The whole session is killed when the child ends, when ``timeout`` (seconds) passes and when the caller is cancelled;
    when ``tied``, also when the calling process is killed.
    """
    outlets = [Outlet(limit, whole)] if merge else [Outlet(limit, whole), Outlet(0)]
    tether = os.pipe() if tied else None
    try:
        child = await _whole(_start(argv, cwd, env, stdin, outlets, tether))
        try:
            return await _follow(child, timeout, outlets)
        finally:
            if child.returncode is None:
                _kill_group(child.pid)
                await child.wait()
    finally:
        for outlet in outlets:
            outlet.close()
        for descriptor in tether or ():
            os.close(descriptor)


async def _whole(start: Coroutine[None, None, Process]) -> Process:
    """A start is not cut in two: asyncio would end the child, and not what it may have started already."""
    starting = asyncio.create_task(start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_end)
        await asyncio.wait([starting])
        raise


def _end(started: asyncio.Task[Process]) -> None:
    if not started.cancelled() and started.exception() is None:
        _kill_group(started.result().pid)


class Outlet:
    """A pipe of our own. asyncio's are part of its child, whose end is then only seen when every grandchild that
    inherited them has ended too."""

    def __init__(self, limit: int, whole: Path | None = None) -> None:
        reading, self.writing = os.pipe()
        self._whole = whole.open("wb", buffering=0) if whole else None
        self._file = os.fdopen(reading, "rb", buffering=0)
        self._transport: asyncio.ReadTransport | None = None
        self._limit = limit
        self._head, self._tail, self.size = bytearray(), bytearray(), 0

    @property
    def text(self) -> bytes:
        """What was read so far: all of it, or the first and the last half of ``limit`` with a note between them."""
        elided = self.size - len(self._head) - len(self._tail)
        note = f"\n… {elided} bytes elided …\n".encode() if elided else b""
        return bytes(self._head + note + self._tail)

    async def read(self) -> asyncio.Task[None]:
        self._shut_writing()
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._file)
        return asyncio.create_task(self._take(stream))

    def close(self) -> None:
        self._shut_writing()
        if self._whole is not None:
            self._whole.close()
        if self._transport is not None:
            self._transport.close()
        else:
            self._file.close()

    async def _take(self, stream: asyncio.StreamReader) -> None:
        half = self._limit // 2
        while data := await stream.read(65_536):
            if self._whole is not None and self.size < MOST_KEPT:
                self._whole.write(data[: MOST_KEPT - self.size])
            self.size += len(data)
            room = max(0, half - len(self._head)) if half else len(data)
            self._head += data[:room]
            self._tail += data[room:]
            del self._tail[: max(0, len(self._tail) - half)]

    def _shut_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


async def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes | None,
    outlets: Sequence[Outlet],
    tether: tuple[int, int] | None,
) -> Process:
    held = () if tether is None else tether[:1]
    tying = [sys.executable, "-I", "-S", str(PROGRAM), str(held[0])] if held else []
    with _given(stdin) as given:
        return await asyncio.create_subprocess_exec(
            *tying,
            *argv,
            pass_fds=held,
            cwd=cwd,
            env=dict(env),
            stdin=given,
            stdout=outlets[0].writing,
            stderr=outlets[-1].writing,
            start_new_session=True,
        )


@contextlib.contextmanager
def _given(stdin: bytes | None) -> Iterator[IO[bytes] | int]:
    if stdin is None:
        yield DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file


async def _follow(child: Process, timeout: float, outlets: Sequence[Outlet]) -> Exit:
    readers = [await outlet.read() for outlet in outlets]
    timed_out = False
    try:
        try:
            async with asyncio.timeout(timeout):
                await child.wait()
        except TimeoutError:
            timed_out = True
        _kill_group(child.pid)
        code = await child.wait()
        await asyncio.wait(readers, timeout=DRAIN_SECONDS)
    finally:
        for reader in readers:
            reader.cancel()
    output, *errors = (outlet.text for outlet in outlets)
    return Exit(code, output, b"".join(errors), timed_out, outlets[0].size)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
