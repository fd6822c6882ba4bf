"""What Linux offers to keep track of processes; elsewhere these do nothing."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"


def die_with_parent() -> None:
    """SIGKILL for the calling process as soon as its parent is gone."""
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes the calling process the parent of descendants whose own parent ends."""
    if LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(spared: set[int]) -> None:
    """Takes the exit statuses of adopted children, up to the first one in `spared`."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in spared:
            return
        reap(ended.si_pid)


def reap(pid: int) -> int | None:
    """The wait status of an ended child; None when it is not ours or still runs."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if ended else None


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
