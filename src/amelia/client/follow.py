"""A stream over any number of connections: lost, it is opened again, until patience ends."""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from .connection import Dropped
from .problems import no_answer

MAX_PAUSE = 5.0
_FIRST_PAUSE = 0.1
_Frame = TypeVar("_Frame")


def over_connections(
    open_one: Callable[[], Iterator[_Frame]], url: str, patience: float | None, lost: Callable[[str], None]
) -> Iterator[_Frame]:
    """What ``open_one`` brings, again and again; it keeps the place and raises ``Dropped``.

    ``lost`` is told why, once for each loss. ``patience`` is for how many seconds nobody may answer before
    ``Unavailable``; ``None`` is for ever. Pauses are drawn, so that many who were cut off together come back apart.
    """
    pause, silent_since = _FIRST_PAUSE, 0.0
    while True:
        try:
            for frame in open_one():
                pause, silent_since = _FIRST_PAUSE, 0.0
                yield frame
            reason = "it closed the stream"
        except Dropped as dropped:
            reason = str(dropped)
        now = time.monotonic()
        if not silent_since:
            silent_since = now
            lost(reason)
        if patience is not None and now - silent_since >= patience:
            raise no_answer(url, reason)
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
        pause = min(pause * 2, MAX_PAUSE)
