"""Tells when a process has ended."""

import asyncio
import os
from collections.abc import Callable

from agentcore_local.kernel import LINUX, reap

_LOOK_EVERY_SECONDS = 0.2


def on_exit(pid: int, tell: Callable[[int | None], None]) -> None:
    """Calls `tell` once with the wait status, or None when somebody else has taken that."""
    loop = asyncio.get_running_loop()
    if not LINUX:
        _look(loop, pid, tell)
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        loop.call_soon(tell, None)
        return

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        tell(reap(pid))

    loop.add_reader(descriptor, ended)


def _look(loop: asyncio.AbstractEventLoop, pid: int, tell: Callable[[int | None], None]) -> None:
    status = reap(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        tell(status)
        return
    loop.call_later(_LOOK_EVERY_SECONDS, _look, loop, pid, tell)
