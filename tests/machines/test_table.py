"""The rules alone, driven by everybody at once: the table holds, and nothing is left orphaned."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain import timers
from amelia.domain.changes import appending, control, executing
from amelia.domain.consequences import lost
from amelia.domain.effects import Effects, Seen
from amelia.domain.table import TRANSITIONS
from amelia.domain.workflow import Workflow
from amelia.errors import Refused

from ..samples import HASH, NOW, Voice, arrived, opening, order, start
from .ground import drive

ORDERS: tuple[type[Any], ...] = (
    *(c.ApproveWorkflow, c.RejectWorkflow, c.ReviseWorkflow, c.CancelWorkflow),
    *(c.PauseWorkflow, c.ResumeWorkflow, c.RetryWorkflow, c.SendMessage),
)
FACTS: tuple[type[Event], ...] = (
    *(e.WorkflowStarted, e.AgentStarted, e.TaskCompleted, e.TokensUsed, e.WorkflowBlocked, e.WorkHandedIn),
    *(e.WorkflowCompleted, e.WorkflowTimeout, e.BudgetReached, e.MessageApplied),
)


class Table(RuleBasedStateMachine):
    """``owed``: the dispatcher has an order about the workflow that it has not carried out."""

    @initialize()
    def begins(self) -> None:
        self.w: Workflow | None = None
        self.owed = False
        self.voice = Voice("wf")
        self.take(executing(start(), ""))

    def take(self, change: Any) -> None:
        effects: Effects | None = change.compute(Seen(now=NOW, workflow=self.w))
        self.after(effects)

    def after(self, effects: Effects | None) -> None:
        if effects is None:
            return
        before, self.w = self.w, effects.workflow
        self.owed = self.owed or bool(effects.commands)
        if before is not None and before.status != self.w.status:
            reachable = {to for (status, _), tos in TRANSITIONS.items() if status == before.status for to in tos}
            assert self.w.status in reachable | {to for s in reachable for to in _next(s)}

    @rule(kind=st.sampled_from(ORDERS))
    def somebody_orders(self, kind: type[Any]) -> None:
        assert self.w is not None
        known: dict[type[Any], dict[str, str]] = {c.ReviseWorkflow: {"feedback": "x"}, c.SendMessage: {"text": "x"}}
        fields = known.get(kind, {})
        try:
            self.take(executing(order(kind, self.w.id, **fields), ""))
        except Refused as refusal:
            assert self.w.id in str(refusal)

    @rule(kind=st.sampled_from(FACTS), old=st.booleans())
    def a_runtime_says(self, kind: type[Event], old: bool) -> None:
        assert self.w is not None
        attempt = self.w.epoch - 1 if old else self.w.epoch
        voice = Voice(self.w.id, attempt, self.w.fact)
        before = self.w
        self.take(appending(self.w.id, arrived(voice.fact(kind))))
        assert not old or replace(self.w, spent={}) == replace(before, spent={})

    @rule()
    def the_dispatcher_acts(self) -> None:
        """What it does for an order: opens an attempt where one is asked for."""
        assert self.w is not None
        self.owed = self.w.done and self.w.status == "in_progress"
        if self.w.queued and self.w.done:
            self.after(control(self.w, (e.WorkflowAdmitted(id="a", workflow_id=self.w.id),), NOW))
        elif self.w.status in ("pending", "approved") and not self.w.parked_until:
            self.after(control(self.w, (opening(self.w),), NOW))

    @rule(final=st.booleans())
    def the_attempt_is_lost(self, final: bool) -> None:
        assert self.w is not None
        if self.w.open:
            self.after(control(self.w, (lost(self.w, "gone", 1 if final else 99),), NOW))

    @rule(outcome=st.sampled_from(["pushed", "proposed", "refused", "intent"]))
    def the_delivery_ends(self, outcome: str) -> None:
        assert self.w is not None
        if self.w.phase != "delivering":
            return
        there: dict[str, Any] = {"branch": self.w.branch, "commit": "c" * 40, "repository": self.w.repository}
        said: dict[str, Event] = {
            "intent": e.DeliveryStarted(id="d", workflow_id=self.w.id, **there),
            "pushed": e.BranchPushed(id="p", workflow_id=self.w.id, **there),
            "proposed": e.PullRequestOpened(id="r", workflow_id=self.w.id, url="u", number=1, branch="b"),
            "refused": e.CommandRefused(
                id="n", workflow_id=self.w.id, command_id="1", command_type="deliver_workflow", cause="no", final=True
            ),
        }
        self.after(control(self.w, (said[outcome],), NOW))

    @invariant()
    def nothing_is_orphaned(self) -> None:
        """I9: leased, queued, ordered, parked with a reason, or waiting on a timer or for a person."""
        w = self.w
        if w is None or w.ended:
            return
        waits = {"blocked": bool(timers.next_wake(w)), "paused": True}.get(w.status, False)
        assert w.open or w.queued or self.owed or waits or bool(timers.next_wake(w)), w
        assert w.open or w.reason or w.phase == "delivering"

    @invariant()
    def what_it_says_of_itself_agrees(self) -> None:
        w = self.w
        if w is None:
            return
        assert not w.open or (w.status == "in_progress" and w.admitted and w.phase != "delivering")
        assert w.phase == "" or w.status == "in_progress"
        assert not w.ended or not (w.open or w.admitted or timers.next_wake(w))
        assert w.status not in ("failed", "cancelled", "paused") or w.reason, "every end says why"
        assert w.status != "approved" or (w.decision is not None and w.decision.plan_sha256 == HASH)


def _next(status: str) -> set[str]:
    """A policy may decide, and a fence may pause, in the transaction that admits an event."""
    return {to for (s, _), tos in TRANSITIONS.items() if s == status for to in tos}


def test_whoever_orders_and_whatever_is_said_the_rules_hold() -> None:
    drive(Table, examples=200, steps=40)
