"""A child in a session of its own, which ends with everything it started."""

import asyncio
import contextlib
import os
import signal
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

DRAIN_SECONDS = 2
"""How long output is waited for from a grandchild that left the session and outlives it."""


class Exit(msgspec.Struct, frozen=True):
    """``code`` is negative for a signal, as in ``subprocess``. ``output`` may have lost its middle, ``errors`` not."""

    code: int
    output: bytes
    errors: bytes = b""
    timed_out: bool = False

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
) -> Exit:
    """``merge`` sends errors where the output goes; ``limit`` (bytes) elides the middle of what is longer.

    The whole session is killed when the child ends, when ``timeout`` (seconds) passes and when the caller is cancelled.
    """
    outlets = [Outlet(), Outlet()] if not merge else [Outlet()]
    try:
        child = await _start(argv, cwd, env, stdin, outlets)
        try:
            return await _follow(child, timeout, [await outlet.read(limit) for outlet in outlets])
        finally:
            if child.returncode is None:
                _kill_group(child.pid)
                await child.wait()
    finally:
        for outlet in outlets:
            outlet.close()


class Outlet:
    """A pipe of our own. asyncio's are part of its child, whose end is then only seen when every grandchild that
    inherited them has ended too."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._transport: asyncio.ReadTransport | None = None

    async def read(self, limit: int) -> asyncio.Task[bytes]:
        self._shut_writing()
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        file = os.fdopen(self._reading, "rb", buffering=0)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
        return asyncio.create_task(_read(stream, limit))

    def close(self) -> None:
        self._shut_writing()
        if self._transport is not None:
            self._transport.close()
        else:
            os.close(self._reading)

    def _shut_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


async def _start(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: bytes | None, outlets: Sequence[Outlet]
) -> asyncio.subprocess.Process:
    with tempfile.TemporaryFile() as given:
        given.write(stdin or b"")
        given.seek(0)
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=dict(env),
            stdin=DEVNULL if stdin is None else given,
            stdout=outlets[0].writing,
            stderr=outlets[-1].writing,
            start_new_session=True,
        )


async def _follow(child: asyncio.subprocess.Process, timeout: float, readers: Sequence[asyncio.Task[bytes]]) -> Exit:
    timed_out = False
    try:
        try:
            async with asyncio.timeout(timeout):
                code = await child.wait()
        except TimeoutError:
            timed_out = True
        _kill_group(child.pid)
        code = await child.wait()
        done, _ = await asyncio.wait(readers, timeout=DRAIN_SECONDS)
        output, *errors = (reader.result() if reader in done else b"" for reader in readers)
    finally:
        for reader in readers:
            reader.cancel()
    return Exit(code, output, b"".join(errors), timed_out)


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Everything, or the first and the last half of ``limit`` with a note between them."""
    head, tail, size = bytearray(), bytearray(), 0
    while data := await stream.read(65_536):
        size += len(data)
        if not limit:
            head += data
            continue
        room = max(0, limit // 2 - len(head))
        head += data[:room]
        tail += data[room:]
        del tail[: max(0, len(tail) - limit // 2)]
    elided = size - len(head) - len(tail)
    note = f"\n… {elided} bytes elided …\n".encode() if elided else b""
    return bytes(head + note + tail)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
