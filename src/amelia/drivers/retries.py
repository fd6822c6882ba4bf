"""How long a driver keeps trying before it says Unavailable."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from amelia.drivers.base import TextDelta, Turn
from amelia.errors import Unavailable

Attempt = Callable[[], AsyncGenerator[TextDelta | Turn, None]]


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
    try has been yielded by then and comes again, so a ``TextDelta`` is progress to show and only the ``Turn`` at
    the end is the answer."""
    for tried in range(patience.retries + 1):
        try:
            async with aclosing(attempt()) as parts:
                async for part in parts:
                    yield part
            return
        except Interrupted as interruption:
            await _pause(service, interruption, tried, patience)


async def _pause(service: str, interruption: Interrupted, tried: int, patience: Patience) -> None:
    asked = interruption.retry_after
    if tried == patience.retries:
        raise Unavailable(
            f"{service} did not answer after {tried + 1} tries ({interruption}); try again later"
        ) from interruption
    if asked is not None and asked > patience.longest_asked:
        raise Unavailable(
            f"{service} asks to be left alone for {asked:.0f} s ({interruption}); try again after that"
        ) from interruption
    await asyncio.sleep(patience.wait(tried) if asked is None else max(asked, 0.0))


def seconds(retry_after: str | None) -> float | None:
    """Of a Retry-After header; a date or nonsense counts as none."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
