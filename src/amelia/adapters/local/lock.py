"""One fleet per state directory. The supervisor holds the lock for as long as it lives, whoever took it."""

import contextlib
import fcntl
import os
import shlex
from pathlib import Path

import msgspec

from amelia.adapters.local.state import StateDirectory
from amelia.errors import Conflict


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """``pid`` is the supervisor's, or of the ``up`` that is still starting it."""

    pid: int
    url: str = ""
    fleet_id: str = ""


class FleetLock:
    """A locked descriptor; given to the supervisor, then closed here."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, state: StateDirectory) -> "FleetLock":
        """Raises ``Conflict`` naming who holds it."""
        descriptor = os.open(state.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            who = last_holder(state)
            does = f"is already running (pid {who.pid}) at {who.url}" if who.url else f"is starting (pid {who.pid})"
            where = f"--state-dir {shlex.quote(str(state.root))}"
            raise Conflict(f"the fleet {does}; stop it with amelia down {where}") from None
        return cls(descriptor)

    def write(self, holder: Holder) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, msgspec.json.encode(holder), 0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def is_held(state: StateDirectory) -> bool:
    return taken(state.lock_file)


def taken(file: Path) -> bool:
    """Whether a process holds the lock on ``file``: who does lives. Two who only look do not see each other."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def last_holder(state: StateDirectory) -> Holder:
    """Whoever wrote into the lock last; pid 0 when nobody did."""
    try:
        return msgspec.json.decode(state.lock_file.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return Holder(pid=0)
