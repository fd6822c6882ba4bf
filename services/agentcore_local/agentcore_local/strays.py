"""Ends processes that belong to a directory.

They are those that were started with it as HOME or TMPDIR, and those without a terminal that work in it;
somebody's shell that looks around there is left alone.
"""

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
        place = os.fsencode(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(b" (deleted)")
        if _inside(place, mark) and not _has_terminal(pid):
            return True
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    homes = (entry.partition(b"=")[2] for entry in environment if entry.startswith((b"HOME=", b"TMPDIR=")))
    return any(_inside(home, mark) for home in homes)


def _has_terminal(pid: int) -> bool:
    after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return after_name[4] != "0"


def _inside(path: bytes, mark: bytes) -> bool:
    return path == mark or path.startswith(mark + b"/")
