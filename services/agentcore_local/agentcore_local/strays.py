"""Ends processes that belong to a directory: those that work in it or were started with it as HOME or TMPDIR."""

import contextlib
import os
import signal
from pathlib import Path

from agentcore_local.kernel import LINUX

_ROUNDS = 5


def end_strays(directory: Path) -> int:
    """SIGKILL for every process of `directory` but the caller; returns how many there were.

    A process may fork while the list is read, so the list is read until it is empty.
    """
    ended = 0
    for _ in range(_ROUNDS):
        strays = _strays(directory) if LINUX else []
        if not strays:
            break
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def _strays(directory: Path) -> list[int]:
    own, mark = os.getpid(), os.fsencode(directory)
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return [pid for pid in pids if pid != own and _belongs(pid, mark)]


def _belongs(pid: int, mark: bytes) -> bool:
    try:
        if _inside(os.fsencode(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(b" (deleted)"), mark):
            return True
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    homes = (entry.partition(b"=")[2] for entry in environment if entry.startswith((b"HOME=", b"TMPDIR=")))
    return any(_inside(home, mark) for home in homes)


def _inside(path: bytes, mark: bytes) -> bool:
    return path == mark or path.startswith(mark + b"/")
