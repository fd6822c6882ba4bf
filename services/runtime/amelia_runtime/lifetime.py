"""How long this process has lived: a session's life is counted from its start, not from its first work."""

import os
import time
from pathlib import Path

_STARTTIME = 22 - 3
"""Of ``/proc/self/stat``, counted behind the command's name (proc(5))."""
_imported = time.monotonic()


def seconds_lived() -> float:
    """Since the process was started or forked; where the system does not tell, since it loaded this module."""
    try:
        fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[-1].split()
        started = int(fields[_STARTTIME]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _imported
