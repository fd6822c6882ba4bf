"""Looks at the fleet from the outside while it runs: at every commit, every effect and every frame that is shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from amelia.adapters.memory.tables import Record
from amelia.adapters.memory.transaction import Written
from amelia.contract import codec
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.invocation import Invocation
from amelia.domain.effects import Arrived
from amelia.domain.workflow import Workflow
from amelia.limits import limits_of

from .ledger import PRICE, Pushed

if TYPE_CHECKING:
    from .world import World

EDGES: dict[str, set[str]] = {
    "": {"pending"},
    "pending": {"in_progress", "paused", "cancelled", "failed"},
    "in_progress": {"pending", "blocked", "paused", "completed", "failed", "cancelled"},
    "blocked": {"approved", "pending", "failed", "cancelled"},
    "approved": {"in_progress", "paused", "cancelled", "failed"},
    "paused": {"pending", "in_progress", "cancelled", "failed"},
    "failed": {"pending", "blocked", "in_progress"},
    "cancelled": {"pending", "blocked", "in_progress"},
}
"""Written down once more, apart from the table the fleet works by."""
_AFOOT_SECONDS = 1.0
"""Within which an answer of the queue is on its way: what came meanwhile counts as read."""
_DECIDING_SECONDS = 10.0
"""Between the look at who waits and the admission: two calls, and however many admissions come before."""
_UNKNOWING_SECONDS = 60.0
ENDED = frozenset({"completed", "failed", "cancelled"})


class Violation(msgspec.Struct, frozen=True):
    """``invariant`` is I1 to I10 of the guarantees."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


class Watch:
    def __init__(self, world: "World") -> None:
        self._world = world
        self.violations: list[Violation] = []
        self.history: dict[str, list[str]] = {}
        self.cancelled_at: dict[str, float] = {}
        self.since: dict[str, float] = {}
        self.heard_at = 0.0
        self._turns: dict[str, Counter[tuple[int, str, int]]] = {}
        self._closed: dict[str, list[datetime]] = {}
        self._life: dict[str, tuple[int, datetime]] = {}

    def broken(self, invariant: str, text: str) -> None:
        violation = Violation(invariant, f"{text} (at {self._world.loop.time():.3f} s)")
        self._world.trace("VIOLATION", str(violation))
        self.violations.append(violation)

    def committed(self, before: Mapping[str, Record | None], written: Written) -> None:
        for workflow_id, old in before.items():
            new = self._world.database.tables.workflows.get(workflow_id)
            if new is not None:
                self._changed(old.workflow if old else None, new, old.lease_until if old else None)
                if new.holds_place and not (old and old.holds_place):
                    self._caps()
                self._not_an_orphan(new)

    def _changed(self, old: Workflow | None, record: Record, fell_due: datetime | None) -> None:
        w = record.workflow
        was = old.status if old else ""
        if was != w.status:
            self._world.trace("status", w.id, f"{was} -> {w.status} ({w.reason})")
            self.history.setdefault(w.id, []).append(w.status)
            self.since[w.id] = self._world.loop.time()
        first = old.sequence if old else 0
        fresh = self._world.database.tables.events.get(w.id, [])[first:]
        if [x.sequence for x in fresh] != list(range(first + 1, w.sequence + 1)):
            self.broken("I3", f"{w.id} went from {first} to {w.sequence} with {[x.sequence for x in fresh]}")
        if was != w.status and not _leads(was, w.status, len(fresh)):
            self.broken("I4" if was in ENDED else "I2", f"{w.id} went from {was or 'nothing'} to {w.status}")
        said = [codec.decode_event(x.body) for x in fresh]
        self.heard_at = self._world.loop.time() if fresh else self.heard_at
        if said and was in ENDED and not isinstance(said[0], e.WorkflowRetried):
            self.broken("I4", f"{w.id} had {was} and its stream went on with {codec.type_of(said[0])}")
        if old is not None and w.epoch < old.epoch:
            self.broken("I2", f"the epoch of {w.id} fell from {old.epoch} to {w.epoch}")
        if w.status != "cancelled":
            self.cancelled_at.pop(w.id, None)
        else:
            self.cancelled_at.setdefault(w.id, self._world.loop.time())
        self._said(w, old, said, fell_due)

    def _said(self, w: Workflow, old: Workflow | None, fresh: Sequence[Event], fell_due: datetime | None) -> None:
        epoch, fact = (old.epoch, old.fact) if old else (0, 0)
        for event in fresh:
            self._world.trace("event", w.id, f"{codec.type_of(event)} {event.attempt}/{event.fact}/{event.ordinal}")
            if isinstance(event, e.AttemptOpened):
                epoch = event.attempt
                self._life[w.id] = (epoch, self._world.clock.now())
            elif isinstance(event, e.RuntimeLost) and "lease" in event.cause:
                self._lost(w.id, fell_due)
            elif isinstance(event, e.TaskStarted) and w.decision and w.decision.tasks:
                if event.task_id not in w.decision.tasks:
                    self.broken("I6", f"{w.id} began {event.task_id}; approved are {', '.join(w.decision.tasks)}")
            elif isinstance(event, e.WorkflowCompleted) and event.blame:
                self._closed.setdefault(w.repository, []).append(self._world.clock.now())
            elif isinstance(event, e.WorkflowAdmitted):
                self._open_to(w)
            elif event.attempt and event.attempt < epoch:
                self.broken("I2", f"{w.id} took {codec.type_of(event)} of attempt {event.attempt} in epoch {epoch}")
            if event.fact:
                if event.fact != fact + 1:
                    self.broken("I3", f"{w.id} took fact {event.fact} after {fact}")
                fact = event.fact

    def _lost(self, workflow_id: str, fell_due: datetime | None) -> None:
        """Not within its lease, nor while a word of it that would have renewed the lease waits for the router."""
        world, now = self._world, self._world.clock.now()
        _, lived = self._life[workflow_id]
        if now - lived < timedelta(seconds=world.settings.lease_seconds):
            self.broken("I9", f"an attempt of {workflow_id} was taken for lost within its lease")
        if fell_due is None or world.weather.clock_steps or world.weather.slow or world.weather.events_doubled:
            return
        unread = world.loop.time() - (now - fell_due).total_seconds() - _AFOOT_SECONDS
        for entry in world.events.entries:
            if not entry.receives and entry.visible_at < unread and f'"{workflow_id}"' in entry.body:
                self.broken("I9", f"an attempt of {workflow_id} was taken for lost, and its word lies in the queue")
                return

    def _open_to(self, w: Workflow) -> None:
        """Its repository was not in quarantine when that was last looked at."""
        settings, now = self._world.settings, self._world.clock.now()
        window = timedelta(minutes=settings.quarantine_minutes)
        seen = now - timedelta(seconds=_DECIDING_SECONDS)
        failures = sum(now - window < at < seen for at in self._closed.get(w.repository, ()))
        if settings.quarantine_failures and failures >= settings.quarantine_failures:
            self.broken("quarantine", f"{w.id} is admitted although {w.repository} failed {failures} times")

    def lived(self, arrived: Sequence[Arrived]) -> None:
        """The journal has taken what runtimes said."""
        for one in arrived:
            epoch, _ = self._life.get(one.event.workflow_id, (0, None))
            if one.event.attempt == epoch:
                self._life[one.event.workflow_id] = (epoch, self._world.clock.now())

    def renewed(self, workflow_id: str, epoch: int) -> None:
        self._life[workflow_id] = (epoch, self._world.clock.now())

    def acknowledged(self, body: str) -> None:
        """A message with a runtime's event is gone from its queue: the journal has it, or needs it no more."""
        if ("events", body) in self._world.poison or ("events", body) in self._world.lost:
            return
        event = codec.decode_event(msgspec.json.encode(msgspec.json.decode(body)["detail"]))
        record = self._world.database.tables.workflows[event.workflow_id]
        w, held = record.workflow, self._world.database.tables.held.get(event.workflow_id, {})
        kept = any(key == (event.attempt, event.fact, event.ordinal) for _, key in held)
        known = event.fact <= w.fact if event.fact else event.ordinal <= w.ordinal
        if not (kept or known or event.attempt < w.epoch or w.status in ENDED):
            self.broken("I1", f"{codec.type_of(event)} of {w.id} is gone from its queue and was never kept")

    def invoked(self, asked: Invocation) -> None:
        record = self._world.database.tables.workflows[asked.workflow_id]
        if asked.epoch > record.workflow.epoch:
            self.broken(
                "I2", f"a runtime works for {asked.workflow_id} in epoch {asked.epoch}, which was never granted"
            )

    def _caps(self) -> None:
        """Never more places than a limit, whoever took the last one and how."""
        limits = limits_of(self._world.settings)
        holding = [x.workflow for x in self._world.database.tables.workflows.values() if x.holds_place]
        users = Counter(w.owner for w in holding)
        repositories = Counter(w.repository for w in holding)
        for most, counted in ((limits.user, users), (limits.repository, repositories)):
            if most and max(counted.values(), default=0) > most:
                self.broken("caps", f"{counted} are in progress, and {most} may be")
        if len(holding) > limits.fleet:
            self.broken("caps", f"{len(holding)} are in progress, and {limits.fleet} may be")

    def _not_an_orphan(self, record: Record) -> None:
        w = record.workflow
        if w.status in ENDED or record.lease_until or record.wake_at or record.queued_since:
            return
        ordered = any(
            x.workflow_id == w.id and x.destination == "commands" for x in self._world.database.tables.outbox.values()
        )
        waits = w.status in ("blocked", "paused") and w.reason
        if not ordered and not waits:
            self.broken("I9", f"{w.id} is {w.status} and {w.phase or 'idle'}, and nobody would ever look at it")

    def executed(self, workflow_id: str, epoch: int, plan: str) -> None:
        """A runtime begins to carry out a plan. Who was taken over may begin with what was approved then."""
        w = self._world.database.tables.workflows[workflow_id].workflow
        if not (_approved(w, plan) or (epoch < w.epoch and self._was_approved(workflow_id, plan))):
            self.broken("I6", f"a runtime carries out {plan[:8]} of {workflow_id}, which nobody approved")

    def paid(self, workflow_id: str, epoch: int, task: str, number: int) -> None:
        """A turn of a model. Whoever was taken over is not counted: it may not know yet. Nor is who was begun anew:
        it does not read what the one before had no time to say."""
        w = self._world.database.tables.workflows[workflow_id].workflow
        if epoch != w.epoch:
            return
        turns = self._turns.setdefault(workflow_id, Counter())
        turns[w.generation, task, number] += 1
        goes = self._world.ledger.goes[workflow_id]
        if turns.total() - len(turns) > goes - 1:
            self.broken("I3", f"{workflow_id} asked again for {turns.total() - len(turns)} turns in {goes} goes")
        most = w.budget.microdollars
        if (
            most
            and not w.generation
            and turns.total() * PRICE.cost_microdollars > most + (goes - 1) * PRICE.cost_microdollars
        ):
            self.broken("I7", f"{workflow_id} has paid for {turns.total()} turns in {goes} goes, of a budget of {most}")

    def _was_approved(self, workflow_id: str, plan: str) -> bool:
        said = (codec.decode_event(x.body) for x in self._world.database.tables.events[workflow_id])
        return any(isinstance(event, e.WorkflowApproved) and event.plan_sha256 == plan for event in said)

    def pushed(self, pushed: Pushed) -> None:
        record = self._world.database.tables.workflows[pushed.workflow_id]
        w = record.workflow
        if not _approved(w, pushed.plan_sha256):
            self.broken("I6", f"{pushed.branch} was pushed from a plan that nobody approved")
        if w.handed_in is None or w.handed_in.commit != pushed.commit:
            self.broken("I2", f"{pushed.branch} was pushed at a commit the journal does not know")
        if self._was_cancelled(w.id, pushed.began):
            self.broken("I8", f"{pushed.branch} was pushed after {w.id} was cancelled")

    def proposed(self, workflow_id: str, branch: str, began: float) -> None:
        """A pull request is opened, not found."""
        if self._was_cancelled(workflow_id, began):
            self.broken("I8", f"a pull request of {branch} was opened after {workflow_id} was cancelled")

    def _was_cancelled(self, workflow_id: str, began: float) -> bool:
        """Who lost the delivery's lock with the database does not know it, and takes back what it did."""
        lost = self._world.loop.time() - self._world.database.locks_lost_at < _UNKNOWING_SECONDS
        return not lost and self.cancelled_at.get(workflow_id, began) < began

    def shown(self, workflow_id: str, after: int, sequence: int) -> None:
        """A reader whose last event was ``after`` is shown the next."""
        if sequence != after + 1:
            self.broken("I3", f"a reader of {workflow_id} was shown {sequence} after {after}")
        events = self._world.database.tables.events.get(workflow_id, [])
        if not any(x.sequence == sequence for x in events[max(0, sequence - 2) :]):
            self.broken("I3", f"a reader of {workflow_id} was shown {sequence} before it was kept")


def _leads(was: str, now: str, steps: int) -> bool:
    reached = {was}
    for _ in range(max(steps, 1)):
        reached = {after for one in reached for after in EDGES.get(one, set())} | (reached - {was})
    return now in reached


def _approved(w: Workflow, plan: str) -> bool:
    return w.decision is not None and w.decision.kind == "approved" and w.decision.plan_sha256 == plan
