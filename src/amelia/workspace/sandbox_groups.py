"""Control groups: bounds on all processes of one command together, where the system lets us make them."""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_numbers = itertools.count(1)
log = logging.getLogger(__name__)


@contextlib.contextmanager
def group(memory_mb: int, processes: int) -> Iterator[tuple[str, ...]]:
    """Folders whose ``cgroup.procs`` the command has to enter. Raises ``OSError`` where there can be none."""
    bounds = {"memory": str(memory_mb * 1024 * 1024), "pids": str(processes)}
    made: list[Path] = []
    try:
        for folder, settings in _wanted(bounds):
            folder.mkdir()
            made.append(folder)
            for name, value in settings.items():
                (folder / name).write_text(value)
        yield tuple(str(folder) for folder in made)
    finally:
        for folder in made:
            _remove(folder)


def sweep() -> None:
    """Removes the groups of programs that were killed."""
    for folder in (*ROOT.glob("*/amelia-*-*"), *ROOT.glob("amelia-*-*")):
        owner = folder.name.split("-")[1]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _wanted(bounds: dict[str, str]) -> list[tuple[Path, dict[str, str]]]:
    name = f"amelia-{os.getpid()}-{next(_numbers)}"
    if name.endswith("-1"):
        sweep()
    if (ROOT / "cgroup.controllers").exists():
        parent = ROOT / _own().lstrip("/")
        beside = parent.parent if parent != ROOT else ROOT
        given = (beside / "cgroup.subtree_control").read_text().split()
        if not {"memory", "pids"} <= set(given):
            raise PermissionError("the control groups here bound neither memory nor processes")
        return [(beside / name, {"memory.max": bounds["memory"], "pids.max": bounds["pids"]})]
    memory = {"memory.limit_in_bytes": bounds["memory"]}
    return [(ROOT / "memory" / name, memory), (ROOT / "pids" / name, {"pids.max": bounds["pids"]})]


def _own() -> str:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "/")


def _remove(folder: Path) -> None:
    """Its processes have been killed; the last of them may need a moment."""
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.002)
        else:
            return
    log.warning("the control group %s is still in use and was left behind", folder)
