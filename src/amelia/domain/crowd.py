"""Who waits for a place among the workflows in progress, who holds one, and what there is of places."""

import msgspec

from ..contract.workflow import Budget, Left

Owner = tuple[str, str]
"""Team and name: the same name in two teams is two people."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """``since`` is UTC, ISO 8601. ``paths`` are what its approved plan changes, None before there is one; ``budget`` is
    its own, ``spent`` what is gone. ``position`` counts all that wait, from 1, where the journal has counted them."""

    id: str
    owner: str
    team: str
    repository: str
    since: str
    priority: int = 0
    paths: tuple[str, ...] | None = None
    budget: Budget = Budget()
    spent: Budget = Budget()
    title: str = ""
    position: int = 0

    @property
    def who(self) -> Owner:
        return self.team, self.owner


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """``reserved`` is what it may still spend of what was reserved for it."""

    id: str
    owner: str
    team: str
    repository: str
    paths: tuple[str, ...] | None = None
    reserved: Budget = Budget()

    @property
    def who(self) -> Owner:
        return self.team, self.owner


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """A repository that failed ``failures`` times in a row of minutes; the last time with ``cause``."""

    repository: str
    until: str
    failures: int
    cause: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Workflows in progress at most, and what each owner may spend in a month; 0 is no limit, but for the fleet's.
    ``workflow`` is the budget of one that names none, where there is a ``month``. A repository that failed
    ``failures`` times within ``failure_minutes`` is in quarantine until that is past."""

    fleet: int = 50
    user: int = 0
    repository: int = 0
    month: Budget = Budget()
    workflow: Budget = Budget()
    failures: int = 3
    failure_minutes: float = 10


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """``waiting`` may be only the first of ``queued`` that wait. ``months`` says what owners spent in the month of
    ``now``; ``slot_seconds`` how long a place was held lately, 0 when nobody has given one back yet."""

    now: str
    waiting: tuple[Waiting, ...] = ()
    running: tuple[Running, ...] = ()
    quarantine: tuple[Quarantine, ...] = ()
    months: dict[Owner, Budget] = {}
    slot_seconds: float = 0.0
    queued: int = 0


def need(w: Waiting, limits: Limits) -> Left:
    """What its budget still allows it."""
    default = limits.workflow if limits.month else Budget()
    microdollars = w.budget.microdollars or default.microdollars
    tokens = w.budget.tokens or default.tokens
    return Left(
        microdollars=microdollars - w.spent.microdollars if microdollars else None,
        tokens=tokens - w.spent.tokens if tokens else None,
    )
