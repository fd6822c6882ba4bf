"""Numbers what a step has to say, in the state it returns."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from ..contract.codec import decode_event, encode, type_of
from ..contract.envelope import Event
from ..contract.events import BudgetReached, WorkflowBlocked, WorkflowCompleted, WorkflowTimeout
from ..contract.ids import derive_id
from ..redaction import Redactor, ours
from .state import State, Work, encoded

E = TypeVar("E", bound=Event)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fact_id(workflow_id: str, number: int, kind: str) -> str:
    return derive_id(workflow_id, f"fact/{number}/{kind}")


def stamped(event: E, number: int) -> E:
    """The event as fact ``number``: the same id whenever it is said again."""
    return msgspec.structs.replace(
        event,
        id=fact_id(event.workflow_id, number, type_of(event)),
        fact=number,
        timestamp=now(),
    )


def record(state: State, work: Work, said: Sequence[Event], held: int) -> State:
    """The next state: ``said`` becomes the next facts; those up to ``held``, which the journal has, are dropped.
    What is kept here is kept long, so it has no secret in it. Plans are as they were when their hash was taken: that is
    what a decision is about, whatever has become known as a secret since.

    A memory that has fallen behind the journal is numbered on from the journal: else nobody would hear the rest.
    """
    first = next_number(state, held)
    secrets = ours()
    fresh = [encode(stamped(clean(event, secrets), number)).decode() for number, event in enumerate(said, first)]
    kept = [text for text in state["facts"] if decode_event(text).fact > held]
    work = replace(secrets.value(replace(work, plan=None)), plan=work.plan)
    return State(work=encoded(work), facts=kept + fresh, last_fact=first - 1 + len(fresh))


def clean(event: E, secrets: Redactor) -> E:
    """Without secrets, but for the plan that waits for a decision: it had none when its hash was taken."""
    if not isinstance(event, WorkflowBlocked):
        return secrets.value(event)
    return replace(secrets.value(replace(event, plan=None)), plan=event.plan)


def above(state: State, held: int) -> list[Event]:
    """The facts with a number above ``held``, in order."""
    return [fact for text in state["facts"] if (fact := decode_event(text)).fact > held]


def next_number(state: State, held: int) -> int:
    """Of the fact that is recorded next."""
    return max(state["last_fact"], held) + 1


def without_end(state: State, held: int) -> State:
    """Takes back an end that the journal has not heard of: the workflow goes on instead, under the same number."""
    facts = [decode_event(text) for text in state["facts"]]
    if not facts or not isinstance(facts[-1], WorkflowCompleted) or facts[-1].fact <= held:
        return state
    return State(work=state["work"], facts=state["facts"][:-1], last_fact=facts[-1].fact - 1)


def unheard_pause(state: State, held: int) -> bool:
    """Whether the newest word is a stop that the journal has yet to hear of."""
    facts = above(state, held)
    return bool(facts) and isinstance(facts[-1], BudgetReached | WorkflowTimeout)
