"""Which of the events that arrive are admitted, in which order, and what becomes of the others.

The bus may delay, double, reorder or lose any of them; facts are admitted by number, progress by ordinal behind
the fact it names. Given everything a runtime said, in any order and any number of copies, the same comes out.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from .evolve import evolve, spending
from .workflow import Workflow

Place = Literal["admit", "early", "duplicate", "stale", "late"]


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """``admitted`` in order, each with the sequence it got; ``early`` waits for what lies before it; ``stale`` is an
    older attempt's (or the terminal workflow's) and ``late`` was declared missing: both are kept and not folded."""

    workflow: Workflow
    admitted: tuple[tuple[int, Event], ...]
    early: tuple[Event, ...]
    stale: tuple[Event, ...]
    late: tuple[Event, ...]


class Said(msgspec.Struct, frozen=True, array_like=True):
    """The highest fact and the highest ordinal that an attempt is known to have said, whether they arrived or not."""

    attempt: int = 0
    fact: int = 0
    ordinal: int = 0


def place(workflow: Workflow, event: Event) -> Place:
    """Where one event belongs, as the workflow stands.

    A fact of an attempt that was lost, parked or paused is left for the next attempt to say: admitted now, its number
    would be taken although the status does not allow its meaning; and what was said after it stays behind it.
    """
    if event.attempt != workflow.epoch or workflow.ended or (event.fact and not workflow.open):
        return "stale"
    if event.fact:
        return _by_number(event.fact, workflow.fact)
    if event.last_fact > workflow.fact:
        return "early" if workflow.open else "stale"
    if any(m.attempt == event.attempt and m.first <= event.ordinal <= m.last for m in workflow.missing):
        return "late"
    return _by_number(event.ordinal, workflow.ordinal)


def _by_number(number: int, highest: int) -> Place:
    if number <= highest:
        return "duplicate"
    return "admit" if number == highest + 1 else "early"


def take(workflow: Workflow, arrived: Iterable[Event]) -> Intake:
    """Admits what can be admitted, again and again until nothing more fits. ``arrived`` includes what waited."""
    waiting = sorted(arrived, key=_order)
    admitted: list[tuple[int, Event]] = []
    kept: dict[Place, list[Event]] = {"stale": [], "late": []}
    moved = True
    while moved:
        moved, still = False, list[Event]()
        for event in waiting:
            where = place(workflow, event)
            if where == "admit":
                workflow = evolve(workflow, event)
                admitted.append((workflow.sequence, event))
                moved = True
            elif where == "early":
                still.append(event)
            elif where != "duplicate":
                workflow = counted_though_stale(workflow, event)
                kept[where].append(event)
        waiting = still
    return Intake(
        workflow=workflow,
        admitted=tuple(admitted),
        early=_distinct(waiting),
        stale=tuple(kept["stale"]),
        late=tuple(kept["late"]),
    )


def counted_though_stale(workflow: Workflow, event: Event) -> Workflow:
    """What an older attempt says about the world still counts: the tokens it spent were spent."""
    match event:
        case e.TokensUsed():
            return spending(workflow, event.of_attempt or event.attempt, event.used)
        case e.RuntimeHeartbeat():
            return spending(workflow, event.attempt, event.used)
        case _:
            return workflow


def heard(said: Said, workflow: Workflow, events: Iterable[Event]) -> Said:
    """``said`` after the events of the current attempt, in which every one names the last fact before it."""
    fact, ordinal = (said.fact, said.ordinal) if said.attempt == workflow.epoch else (0, 0)
    for event in events:
        if event.attempt == workflow.epoch:
            fact = max(fact, event.fact, event.last_fact)
            ordinal = max(ordinal, event.ordinal, event.last_ordinal if isinstance(event, e.RuntimeHeartbeat) else 0)
    return Said(workflow.epoch, fact, ordinal)


def behind(workflow: Workflow, said: Said) -> bool:
    """Whether something that was said is missing, and may still come or be said to be missing."""
    if said.attempt != workflow.epoch or workflow.ended:
        return False
    return said.ordinal > workflow.ordinal or (workflow.open and said.fact > workflow.fact)


def gap(workflow: Workflow, waiting: Sequence[Event], said: Said, *, over: bool = False) -> e.EventsMissing | None:
    """The first hole in the progress, said as an event: in front of what waits, or else at the end of what was said.

    None while a fact is what is missing, because its attempt says it again, unless that is ``over``; and none after the
    end of the workflow: nothing follows it.
    """
    if not behind(workflow, said):
        return None
    there = [x.ordinal for x in waiting if x.ordinal and x.attempt == workflow.epoch and x.last_fact <= workflow.fact]
    if not there and workflow.open and said.fact > workflow.fact and not over:
        return None
    first, last = workflow.ordinal + 1, min(there) - 1 if there else said.ordinal
    if last < first:
        return None
    return e.EventsMissing(
        id=derive_id(workflow.id, f"missing/{workflow.epoch}/{first}"),
        workflow_id=workflow.id,
        of_attempt=workflow.epoch,
        first=first,
        last=last,
    )


def _order(event: Event) -> tuple[int, int]:
    """Facts by number; progress directly behind the fact it names, by ordinal."""
    return (event.fact, 0) if event.fact else (event.last_fact, event.ordinal)


def _distinct(waiting: Sequence[Event]) -> tuple[Event, ...]:
    return tuple({(x.fact, x.ordinal): x for x in waiting}.values())
