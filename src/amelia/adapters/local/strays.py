"""Finds and ends what a fleet left behind: programs that carry its id in their environment."""

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]

from amelia.adapters.local.layout import FLEET_ID


def find(fleet_id: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if fleet_id and _carries(process, fleet_id)]


def end(fleet_id: str, patience: float = 5) -> list[int]:
    """Asks them to stop, kills what has not after ``patience`` seconds; returns the pids found."""
    found = find(fleet_id)
    _signal(found, signal.SIGTERM)
    _, alive = psutil.wait_procs(found, timeout=patience)
    while alive := [*_living(alive), *find(fleet_id)]:
        _signal(alive, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=1)
    return [process.pid for process in found]


def listener(port: int) -> str:
    """``python (pid 12)`` when this system tells who listens on ``port``, else empty."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def _carries(process: psutil.Process, fleet_id: str) -> bool:
    try:
        return bool(process.pid != os.getpid() and process.environ().get(FLEET_ID) == fleet_id)
    except (psutil.Error, OSError):
        return False


def _living(processes: list[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
