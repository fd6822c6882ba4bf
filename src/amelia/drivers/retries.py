"""How long a driver keeps trying before it says Unavailable."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from email.utils import parsedate_to_datetime

import msgspec

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import TextDelta, Turn, Usage
from amelia.errors import Unavailable

STILL_SECONDS = 30.0
"""How often a long pause is said to be one."""

Attempt = Callable[[Assembly], AsyncGenerator[TextDelta, None]]
"""One request: puts what comes into the assembly, yields what is to be shown."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """``retries`` counts the tries after the first. Waits double from ``first_wait`` up to ``longest_wait``
    seconds, each shortened at random by up to a half; a service's own Retry-After wins, and one longer than
    ``longest_asked`` seconds ends the tries at once."""

    retries: int = 4
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_asked: float = 120.0

    def wait(self, tried: int) -> float:
        longest = min(self.longest_wait, self.first_wait * 2.0**tried)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


class Interrupted(Exception):
    """One try failed in a way that another may not: busy, broken down, cut off. ``retry_after`` in seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


async def retried(service: str, attempt: Attempt, patience: Patience) -> AsyncGenerator[TextDelta | Turn, None]:
    """Every try is a whole new request, also after a stream that broke off in the middle: the text of the broken
    try has been yielded by then and comes again, after a ``TextDelta`` that is ``anew``; only the ``Turn`` at the
    end is the answer. Its usage includes what the services said of the broken tries."""
    wasted = Usage()
    for tried in range(patience.retries + 1):
        assembly = Assembly()
        try:
            async with aclosing(attempt(assembly)) as pieces:
                async for piece in pieces:
                    yield piece
            if assembly.whole:
                yield assembly.turn(wasted)
                return
            interruption = Interrupted("the answer was cut off")
        except Interrupted as error:
            interruption = error
        wasted += assembly.usage
        left = _pause(service, interruption, tried, patience)
        yield TextDelta("", anew=True)
        while left > 0:
            await asyncio.sleep(min(left, STILL_SECONDS))
            left -= STILL_SECONDS
            yield TextDelta("")


def _pause(service: str, interruption: Interrupted, tried: int, patience: Patience) -> float:
    """In seconds. Raises ``Unavailable`` when there is no other try."""
    asked = interruption.retry_after
    if tried == patience.retries:
        tries = f"{tried + 1} tries" if tried else "one try"
        raise Unavailable(f"{service} did not answer after {tries} ({interruption}); try again later") from interruption
    if asked is not None and asked > patience.longest_asked:
        raise Unavailable(
            f"{service} asks to be left alone for {asked:.0f} s ({interruption}); try again after that"
        ) from interruption
    return patience.wait(tried) if asked is None else asked


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds, of ``Retry-After-Ms``, else of ``Retry-After`` in seconds or as a date; nonsense counts as none."""
    in_ms, after = _number(headers.get("retry-after-ms")), headers.get("retry-after")
    if in_ms is not None:
        return in_ms / 1_000
    seconds = _number(after)
    if seconds is not None or not after:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < float("inf") else None
