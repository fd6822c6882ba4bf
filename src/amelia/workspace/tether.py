"""Runs a command in its own process group, and kills the group once nobody holds the other end of a pipe any more.

A program of its own, ``python -I -S tether.py FD COMMAND...``, without anything but the standard library: a parent that
is killed cannot end its children, and what a kernel offers for that reaches one process, not what that one has started.
"""

import os
import select
import signal
import sys
from pathlib import Path

PROGRAM = Path(__file__)
_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these, and what it starts would too."""


def main(argv: list[str]) -> int:
    """Exits as the command does; 128 and the signal's number when a signal ended it."""
    held = int(argv[1])
    os.set_inheritable(held, False)
    ended = _wakeup()
    try:
        child = os.posix_spawnp(argv[2], argv[2:], os.environ, setsigdef=_RESET)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[2]}: {error.strerror}\n")
        return 127
    while True:
        readable, _, _ = select.select([held, ended], [], [])
        if held in readable:
            os.killpg(0, signal.SIGKILL)
        os.read(ended, 512)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _wakeup() -> int:
    """A descriptor that becomes readable when a child ends."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    return reading


if __name__ == "__main__":
    sys.exit(main(sys.argv))
