"""Named places between an effect and its record, at which a test may let this program die.

``AMELIA_FAILPOINTS`` says where and how: ``pushed=kill@2`` is SIGKILL at the second pass of ``pushed`` in a program's
life, ``relayed=error@1`` an ``Unavailable``, ``turned=hang:6@3`` six seconds in which the program does nothing at all
(``hang`` alone: for ever), ``*=kill%0.002;seed=7`` a kill at one pass in 500, the same ones for the same seed. Several
are joined by commas. ``AMELIA_FAILPOINTS_ONCE`` names a directory in which each strike leaves a mark, so that it
strikes once in a fleet and a program that was started again is not struck down at the same place for ever.

Unset, a pass costs one comparison.
"""

import hashlib
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn, get_args

import msgspec

from .errors import Refused, Unavailable

Point = Literal[
    "executed",  # api: a command is in the journal, its sender has no answer
    "relayed",  # relay: sent to a queue or the bus, the outbox row still there
    "admitted",  # dispatcher: an attempt is open in the journal, nobody has been invoked
    "invoked",  # dispatcher: the session has answered, nothing has been made of it
    "delivery_started",  # dispatcher: the intent to deliver is recorded, the repository untouched
    "pushed",  # dispatcher: the branch is there, the journal does not know
    "pull_request_opened",  # dispatcher: the pull request is there, the journal does not know
    "appended",  # router: events are in the journal, their messages still in the queue
    "acknowledged",  # consumer: messages are gone from their queue, what they ask for may be under way
    "turned",  # runtime: the model has answered and its tools have run, the transcript does not know
    "transcribed",  # runtime: the transcript has the turn, the checkpoint does not
    "checkpointed",  # runtime: facts are in the checkpoint, nobody has been told
    "published",  # runtime: the bus has taken events, the runtime does not know yet
]
POINTS: tuple[Point, ...] = get_args(Point)


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """At the ``at``-th pass of ``point``, or with ``chance`` at each; ``seconds`` 0 is for ever."""

    point: str
    action: Literal["kill", "hang", "error"]
    at: int = 0
    chance: float = 0
    seconds: float = 0


class Failpoints:
    """``seed`` chooses the passes of strikes with a chance; ``once`` is the directory of marks."""

    def __init__(self, strikes: tuple[Strike, ...], seed: str = "", once: Path | None = None) -> None:
        self.strikes = strikes
        self._seed = seed
        self._once = once
        self._passes: Counter[str] = Counter()

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Failpoints":
        """Raises ``Refused`` for a point or an action there is not."""
        text, _, seed = environ.get("AMELIA_FAILPOINTS", "").partition(";seed=")
        once = environ.get("AMELIA_FAILPOINTS_ONCE", "")
        parts = filter(None, (part.strip() for part in text.split(",")))
        return cls(tuple(map(_strike, parts)), seed, Path(once) if once else None)

    def passing(self, point: Point) -> None:
        self._passes[point] += 1
        count = self._passes[point]
        for strike in self.strikes:
            if strike.point in (point, "*") and self._hits(strike, point, count) and self._marked(point, count):
                _act(strike, point)

    def _hits(self, strike: Strike, point: str, count: int) -> bool:
        if strike.at:
            return count == strike.at
        drawn = hashlib.blake2b(f"{self._seed}/{point}/{count}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") < strike.chance * 2**64

    def _marked(self, point: str, count: int) -> bool:
        """False when a program of this fleet was struck here before."""
        if self._once is None:
            return True
        try:
            (self._once / f"{point}.{count}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


_failpoints: Failpoints | None = None


def reach(point: Point) -> None:
    """Call it between an effect and its record."""
    global _failpoints
    if _failpoints is None:
        _failpoints = Failpoints.read(os.environ)
    if _failpoints.strikes:
        _failpoints.passing(point)


def _strike(text: str) -> Strike:
    point, _, rest = text.partition("=")
    if point != "*" and point not in POINTS:
        raise Refused(f"AMELIA_FAILPOINTS: there is no point {point!r}; there are {', '.join(POINTS)} and *")
    how, _, at = rest.partition("@")
    how, _, chance = how.partition("%")
    action, _, seconds = how.partition(":")
    try:
        return msgspec.convert(
            {"point": point, "action": action, "at": at or 0, "chance": chance or 0, "seconds": seconds or 0},
            Strike,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise Refused(f"AMELIA_FAILPOINTS: {text!r} is not like pushed=kill@2 or *=kill%0.01: {error}") from error


def _act(strike: Strike, point: str) -> None:
    match strike.action:
        case "kill":
            _die()
        case "hang":
            time.sleep(strike.seconds or 10**9)
        case "error":
            raise Unavailable(f"the failpoint {point} was reached; try again later")


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
