"""One change while it is worked out: events folded one after the other, and everything that follows from them."""

from collections.abc import Sequence

from msgspec.structs import replace

from ..contract import codec
from ..contract import events as e
from ..contract.commands import AnyCommand
from ..contract.envelope import Event
from ..contract.ids import derive_id
from . import intake, policy, timers
from .consequences import attend, follow_up
from .effects import Arrived, Effects, Held, Key, Seen
from .evolve import evolve, spending, submitted
from .lessons import Learnt, learnt
from .place import holds_place
from .telling import tellings
from .workflow import Workflow, beyond

MOST_EARLY = 512
"""Events of one workflow that wait for others, at most. Beyond it they are let go: facts are asked for again, and
progress is said to be missing. The last quarter is for facts."""
_MOST_EARLY_PROGRESS = MOST_EARLY * 3 // 4
_BEYOND = 1.1
_STRAY_SECONDS = 10.0
"""A session that is being ended may still be heard for a moment."""


class Draft:
    """``seen.workflow`` may be None only where the first event is a submission."""

    def __init__(self, seen: Seen, rules: policy.Policy = policy.OPEN) -> None:
        self._seen = seen
        self._rules = rules
        self._workflow = seen.workflow
        self._said = seen.said
        self._waiting = {key(event): (event, body) for body in seen.waiting for event in (codec.decode_event(body),)}
        self._events: list[tuple[int, str, str, str]] = []
        self._commands: list[AnyCommand] = []
        self._published: list[Event] = []
        self._blamed: list[tuple[str, str]] = []
        self._learnt: list[Learnt] = []
        self._early: dict[Key, Held] = {}
        self._kept: list[Held] = []
        self._unheld: list[Key] = []
        self._renew = self._progress = False

    @property
    def workflow(self) -> Workflow:
        assert self._workflow is not None, "a workflow begins with its submission"
        return self._workflow

    def control(self, events: Sequence[Event]) -> None:
        """Control-plane events: recorded, followed up, and published from the outbox."""
        said = tuple(event if event.timestamp else replace(event, timestamp=self._seen.now) for event in events)
        before = self._workflow
        if before is not None and intake.behind(before, self._said) and _ends_attempt(before, said):
            self.close_gaps(over=True)
        for event in said:
            self._workflow = _first(event) if self._workflow is None else evolve(self._workflow, event)
            self._record(event, codec.encode(event).decode())
            self._published.append(event)
            self._renew = self._renew or isinstance(event, e.AttemptOpened)
        self._progress = self._progress or self._renew
        self._workflow = timers.begun(self.workflow, self._seen.now)
        if self._waiting or self._early:
            self._take({})

    def append(self, arrived: Sequence[Arrived]) -> None:
        """Events of the runtime. Any of the current attempt renews its lease."""
        before = self.workflow
        numbered: dict[int, tuple[Event, str]] = {}
        for one in arrived:
            if isinstance(one.event, e.RuntimeHeartbeat):
                self._workflow = spending(self.workflow, one.event.attempt, one.event.used)
            else:
                numbered[id(one.event)] = (one.event, one.body)
        self._said = intake.heard(self._said, before, (one.event for one in arrived))
        self._renew = self._renew or any(one.event.attempt == before.epoch for one in arrived)
        self._follow(self._take(numbered))
        if self._seen.idle_seconds > _STRAY_SECONDS and _strays(self.workflow, arrived):
            order = attend(self.workflow.id, f"{self.workflow.id}/stray/{self.workflow.epoch}")
            self._commands.append(order)

    def close_gaps(self, *, over: bool = False) -> None:
        """Says what progress is missing and admits what waited behind it. A missing fact stays missing."""
        while missing := intake.gap(self.workflow, self._not_placed(), self._said, over=over):
            stamped = replace(missing, timestamp=self._seen.now)
            self._workflow = evolve(self.workflow, stamped)
            self._record(stamped, codec.encode(stamped).decode())
            self._published.append(stamped)
            self._follow(self._take({}))

    def effects(self) -> Effects:
        w = self.workflow
        return Effects(
            workflow=w,
            said=None if self._said == self._seen.said else self._said,
            events=tuple(self._events),
            commands=tuple(self._commands),
            publish=tuple(self._published),
            held=(*self._room(), *self._kept),
            unheld=tuple(self._unheld),
            blamed=tuple(self._blamed),
            tells=tellings(self._seen.workflow, w, self._seen.now),
            learnt=tuple(self._learnt),
            renew=self._renew,
            progress=self._progress,
            only_life=w is self._seen.workflow,
        )

    def _record(self, event: Event, body: str) -> None:
        w = self.workflow
        self._events.append((w.sequence, event.id, codec.type_of(event), body))
        if (command := follow_up(w, event)) is not None:
            self._commands.append(command)

    def _not_placed(self) -> list[Event]:
        return [event for event, _ in self._waiting.values()] + [held.event for held in self._early.values()]

    def _take(self, arrived: dict[int, tuple[Event, str]]) -> intake.Intake:
        """Places what arrived and what waits."""
        waiting, early = self._waiting, self._early
        bodies = {**arrived, **{id(event): (event, body) for event, body in waiting.values()}}
        bodies |= {id(held.event): (held.event, held.body) for held in early.values()}
        took = intake.take(self.workflow, [event for event, _ in bodies.values()])
        self._workflow = took.workflow
        for sequence, event in took.admitted:
            self._admit(sequence, event, bodies[id(event)][1])
        self._keep("stale", took.stale, bodies)
        self._keep("late", took.late, bodies)
        still = {key(event): event for event in took.early}
        self._unheld += [known for known in waiting if known not in still]
        self._waiting = {known: one for known, one in waiting.items() if known in still}
        self._early = {
            known: Held(kind="early", event=event, body=bodies[id(event)][1])
            for known, event in still.items()
            if known not in waiting
        }
        return took

    def _admit(self, sequence: int, event: Event, body: str) -> None:
        after = self.workflow
        self._progress = True
        self._events.append((sequence, event.id, codec.type_of(event), body))
        if (command := follow_up(after, event)) is not None:
            self._commands.append(command)
        if isinstance(event, e.WorkflowCompleted) and event.blame == "repository" and after.ended:
            self._blamed.append((after.repository, event.cause))
        if isinstance(event, e.LessonLearnt):
            self._learnt.append(learnt(after, event))

    def _keep(self, kind: str, events: Sequence[Event], bodies: dict[int, tuple[Event, str]]) -> None:
        self._kept += [Held(kind=kind, event=event, body=bodies[id(event)][1]) for event in events]

    def _follow(self, took: intake.Intake) -> None:
        """What the control plane has to say about what was admitted: the policy's decision about a plan, for one."""
        self._workflow = w = timers.begun(self.workflow, self._seen.now)
        blocked = any(isinstance(event, e.WorkflowBlocked) for _, event in took.admitted)
        decision = policy.decision(w, self._rules, self._seen.now) if blocked else None
        said = tuple(event for event in (_fence(w, self._seen.now), decision) if event is not None)
        if said:
            self.control(said)

    def _room(self) -> list[Held]:
        """Of the events that came early, those that there is room for: facts and the lowest numbers first."""
        if not self._early:
            return []
        there = self._seen.held - len(self._unheld)
        ordered = sorted(self._early.values(), key=lambda h: (not h.event.fact, h.event.fact, h.event.ordinal))
        facts = [held for held in ordered if held.event.fact]
        taken = facts[: max(0, MOST_EARLY - there)]
        there += len(taken)
        return [*taken, *ordered[len(facts) :][: max(0, _MOST_EARLY_PROGRESS - there)]]


def key(event: Event) -> Key:
    return (event.attempt, event.fact, event.ordinal)


def _ends_attempt(workflow: Workflow, events: Sequence[Event]) -> bool:
    """Whether nothing that the attempt says would be admitted after the events."""
    after = workflow
    for event in events:
        after = evolve(after, event)
    return after.epoch != workflow.epoch or after.ended


def _fence(workflow: Workflow, now: str) -> e.WorkflowPaused | None:
    """A runtime stops by itself before it passes its budget. One that has passed it by a tenth does not obey."""
    if not workflow.open or not beyond(workflow, _BEYOND):
        return None
    return e.WorkflowPaused(
        id=derive_id(workflow.id, f"beyond-budget/{workflow.epoch}"),
        workflow_id=workflow.id,
        timestamp=now,
        correlation_id=workflow.correlation_id,
        kind="budget",
        paused_by="the control plane",
        reason="more than its budget is spent; resume it with a larger one",
    )


def _first(event: Event) -> Workflow:
    assert isinstance(event, e.WorkflowSubmitted), "a workflow begins with its submission"
    return submitted(event)


def _strays(workflow: Workflow, arrived: Sequence[Arrived]) -> bool:
    """A session lives that has nothing to do: its stop was lost, or was not obeyed."""
    return not holds_place(workflow) and any(isinstance(one.event, e.RuntimeHeartbeat) for one in arrived)
