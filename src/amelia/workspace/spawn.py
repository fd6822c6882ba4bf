"""A child in a session of its own, which ends with everything it started."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec


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
    child = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=DEVNULL if stdin is None else PIPE,
        stdout=PIPE,
        stderr=STDOUT if merge else PIPE,
        start_new_session=True,
    )
    try:
        return await _follow(child, timeout, stdin, limit)
    finally:
        _kill_group(child.pid)
        with contextlib.suppress(asyncio.CancelledError):
            await child.wait()
        _close(child)


async def _follow(child: asyncio.subprocess.Process, timeout: float, stdin: bytes | None, limit: int) -> Exit:
    readers = [asyncio.create_task(_read(stream, limit)) for stream in (child.stdout, child.stderr)]
    timed_out = False
    try:
        try:
            async with asyncio.timeout(timeout):
                await _feed(child, stdin)
                code = await child.wait()
        except TimeoutError:
            timed_out = True
        _kill_group(child.pid)
        code = await child.wait()
        done, _ = await asyncio.wait(readers, timeout=2)
        output, errors = (reader.result() if reader in done else b"" for reader in readers)
    finally:
        for reader in readers:
            reader.cancel()
    return Exit(code, output, errors, timed_out)


async def _feed(child: asyncio.subprocess.Process, stdin: bytes | None) -> None:
    if stdin is None or child.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(stdin)
        await child.stdin.drain()
    child.stdin.close()


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    """Everything, or the first and the last half of ``limit`` with a note between them."""
    head, tail, size = bytearray(), bytearray(), 0
    while stream is not None and (data := await stream.read(65_536)):
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


def _close(child: asyncio.subprocess.Process) -> None:
    """A grandchild that left the session may still hold the pipes; do not wait for it."""
    transport = getattr(child, "_transport", None)
    if transport is not None:
        transport.close()
