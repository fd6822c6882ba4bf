"""Who is admitted next, with what reserved; and for everyone else the place in the queue and the limit that binds.

Priority, then fair turns between owners, then age. A turn is the owner's next place: who holds fewer comes first.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

import msgspec

from ..contract.workflow import Budget
from .crowd import Crowd, Limits, Owner, Quarantine, Waiting, need
from .overlap import Paths, shared
from .reservation import Purse, Wait, reserve
from .timers import later

K = TypeVar("K")


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """``used_up``: there is nothing left of its budget, so it gets no place but a pause."""

    id: str
    reserved: Budget = Budget()
    used_up: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """``position`` counts from 1; ``limit`` is the one that binds, in a sentence; ``estimated_start`` is UTC, ISO 8601,
    empty when there is nothing to estimate it from."""

    position: int
    limit: str
    estimated_start: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """``admitted`` in their order; everyone else has a place."""

    admitted: tuple[Admission, ...]
    places: dict[str, Place]


_NEXT = Wait(reason="it is next")


def admit(crowd: Crowd, limits: Limits) -> Turn:
    """The same crowd gives the same turn, in whatever order it is told."""
    hall = _Hall(crowd, limits)
    admitted: list[Admission] = []
    bound: dict[str, Wait] = {}
    for w in _in_turn(crowd.waiting, hall):
        answer = hall.enter(w)
        if isinstance(answer, Admission):
            admitted.append(answer)
        else:
            bound[w.id] = answer
    left = [w for w in crowd.waiting if w.id in bound]
    return Turn(admitted=tuple(admitted), places=_places(left, bound, hall))


def places(crowd: Crowd, limits: Limits) -> dict[str, Place]:
    """Of all that wait, those included whose turn has come."""
    turn = admit(crowd, limits)
    first = {one.id: Place(position=n, limit=_NEXT.reason) for n, one in enumerate(turn.admitted, 1)}
    if len(crowd.waiting) >= crowd.queued:
        behind = {
            id_: msgspec.structs.replace(place, position=place.position + len(first))
            for id_, place in turn.places.items()
        }
        return first | behind
    counted = {w.id: w.position for w in crowd.waiting}
    every = first | turn.places
    return {id_: msgspec.structs.replace(place, position=counted[id_]) for id_, place in every.items()}


def full(running: int, limits: Limits) -> bool:
    """Whether nobody can be admitted, whoever waits."""
    return running >= limits.fleet


class _Hall:
    """The places there are, as they are being taken."""

    def __init__(self, crowd: Crowd, limits: Limits) -> None:
        self.limits, self.now, self.slot_seconds = limits, crowd.now, crowd.slot_seconds
        self.taken = len(crowd.running)
        self.of_owner: Counter[Owner] = Counter(r.who for r in crowd.running)
        self.of_repository = Counter(r.repository for r in crowd.running)
        self._quarantine: dict[str, Quarantine] = {q.repository: q for q in crowd.quarantine}
        self._spent = crowd.months
        self._reserved: dict[Owner, Budget] = defaultdict(Budget)
        self._changed: dict[str, list[tuple[str, Paths]]] = defaultdict(list)
        self._awaited: dict[str, list[tuple[str, Paths]]] = defaultdict(list)
        for r in crowd.running:
            self._set_aside(r.who, r.reserved)
            if r.paths is not None:
                self._changed[r.repository].append((r.id, r.paths))

    def enter(self, w: Waiting) -> Admission | Wait:
        """Takes a place, or says what is in the way: what is its own first, and that the fleet is full last."""
        wanted = need(w, self.limits)
        if wanted.used_up:
            return Admission(id=w.id, used_up=True)
        hindered = self._quarantined(w) or self._crowded(w)
        if hindered is not None:
            return hindered
        reserved = reserve(wanted, self._purse(w.who), self.now)
        if isinstance(reserved, Wait):
            return reserved
        hindered = self._overlapping(w) or self._full()
        if hindered is not None:
            return hindered
        self._take(w, reserved)
        return Admission(id=w.id, reserved=reserved)

    def _take(self, w: Waiting, reserved: Budget) -> None:
        self.taken += 1
        self.of_owner[w.who] += 1
        self.of_repository[w.repository] += 1
        self._set_aside(w.who, reserved)
        if w.paths is not None:
            self._changed[w.repository].append((w.id, w.paths))

    def _set_aside(self, who: Owner, reserved: Budget) -> None:
        so_far = self._reserved[who]
        self._reserved[who] = Budget(
            microdollars=so_far.microdollars + reserved.microdollars, tokens=so_far.tokens + reserved.tokens
        )

    def _purse(self, who: Owner) -> Purse:
        spent = self._spent.get(who, Budget())
        return Purse(owner=who[1], month=self.limits.month, spent=spent, reserved=self._reserved[who])

    def _quarantined(self, w: Waiting) -> Wait | None:
        q = self._quarantine.get(w.repository)
        if q is None:
            return None
        said = f"repository {q.repository} is quarantined until {q.until[11:16]}"
        return Wait(reason=f"{said}: {q.failures} clones failed, the last: {q.cause}", until=q.until)

    def _crowded(self, w: Waiting) -> Wait | None:
        most, mine = self.limits.user, self.of_owner[w.who]
        if most and mine >= most:
            return Wait(reason=f"{mine} of {most} workflows of {w.owner or 'nobody'} are in progress")
        most, there = self.limits.repository, self.of_repository[w.repository]
        if most and there >= most:
            return Wait(reason=f"{there} of {most} workflows in the repository {w.repository} are in progress")
        return None

    def _full(self) -> Wait | None:
        if not full(self.taken, self.limits):
            return None
        return Wait(reason=f"{self.taken} of {self.limits.fleet} workflows are in progress")

    def _overlapping(self, w: Waiting) -> Wait | None:
        """Also those that wait for the same files and came first are waited for: a plan that changes much would never
        have its turn otherwise."""
        if w.paths is None:
            return None
        for id_, paths in self._changed[w.repository]:
            if path := shared(w.paths, paths):
                self._awaited[w.repository].append((w.id, w.paths))
                return Wait(reason=f"{id_} changes {_named(path)} of the same repository; waits until it ends")
        for id_, paths in self._awaited[w.repository]:
            if path := shared(w.paths, paths):
                self._awaited[w.repository].append((w.id, w.paths))
                return Wait(reason=f"{id_} is to change {_named(path)} of the same repository first")
        return None


def _named(path: str) -> str:
    return "any file" if path == "**" else path


def _in_turn(waiting: Iterable[Waiting], hall: _Hall) -> Iterator[Waiting]:
    """Each in the order in which it is asked. An owner whose first cannot enter is asked for the next one."""
    for _, ranked in sorted(_by(waiting, lambda w: -w.priority).items()):
        queues = {who: deque(sorted(own, key=_age)) for who, own in _by(ranked, lambda w: w.who).items()}
        heap = [(hall.of_owner[who], _age(queue[0]), who) for who, queue in queues.items()]
        heapify(heap)
        while heap:
            _, _, who = heappop(heap)
            yield queues[who].popleft()
            if queues[who]:
                heappush(heap, (hall.of_owner[who], _age(queues[who][0]), who))


def _places(waiting: Sequence[Waiting], bound: dict[str, Wait], hall: _Hall) -> dict[str, Place]:
    """The k-th that waits of an owner who holds r places has turn r + k."""
    turns: dict[str, int] = {}
    ahead: Counter[Owner | str] = Counter()
    for w in sorted(waiting, key=lambda w: (-w.priority, _age(w))):
        ahead[w.who] += 1
        turns[w.id] = hall.of_owner[w.who] + ahead[w.who]
    told: dict[str, Place] = {}
    ahead.clear()
    for position, w in enumerate(sorted(waiting, key=lambda w: (-w.priority, turns[w.id], _age(w))), 1):
        ahead[w.who] += 1
        ahead[w.repository] += 1
        rounds = _rounds(hall, w, position, ahead[w.who], ahead[w.repository])
        told[w.id] = Place(
            position=position, limit=bound[w.id].reason, estimated_start=_estimate(hall, bound[w.id], rounds)
        )
    return told


def _rounds(hall: _Hall, w: Waiting, position: int, of_owner: int, of_repository: int) -> float:
    """How often a place has to be held and given back before its turn, under the limit that takes longest."""
    limits = hall.limits
    counts = (
        (position, hall.taken, limits.fleet),
        (of_owner, hall.of_owner[w.who], limits.user),
        (of_repository, hall.of_repository[w.repository], limits.repository),
    )
    return max(max(0, place - (most - taken)) / most for place, taken, most in counts if most > 0)


def _estimate(hall: _Hall, wait: Wait, rounds: float) -> str:
    if not hall.slot_seconds:
        return wait.until
    return max(wait.until, later(hall.now, hall.slot_seconds * rounds))


def _age(w: Waiting) -> tuple[str, str]:
    return w.since, w.id


def _by(waiting: Iterable[Waiting], key: Callable[[Waiting], K]) -> dict[K, list[Waiting]]:
    found: dict[K, list[Waiting]] = defaultdict(list)
    for w in waiting:
        found[key(w)].append(w)
    return found
