"""The gate, a register that is written once: whoever decides, in whatever order, each block is decided once."""

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import TERMINAL
from amelia.domain.plan import part_of
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, Refused

from ..samples import Voice, arrived, opened, order, start, stream, the
from .ground import OnGround, drive, ground

if TYPE_CHECKING:
    from ..conftest import Server

DECISIONS = (e.WorkflowApproved, e.WorkflowRejected, e.WorkflowRevised, e.ApprovalDeadlinePassed)
KINDS: tuple[type[Any], ...] = (c.ApproveWorkflow, c.RejectWorkflow, c.ReviseWorkflow)


def plan(number: int) -> Plan:
    first = Task(id="first", title="First", description=f"Number {number}.")
    second = Task(id="second", title="Second", description="After it.", dependencies=("first",))
    return Plan(summary=f"Plan {number}.", tasks=(first, second))


class Gate(OnGround):
    """``named`` are all the blocks there ever were, with their plans."""

    @initialize(auto_approve=st.booleans())
    def begins(self, auto_approve: bool) -> None:
        command = start(auto_approve=auto_approve)
        self.ground.do(self.ground.journal.execute(command))
        self.id = command.workflow_id
        self.named: list[tuple[str, Plan]] = []
        self.sent: list[tuple[Any, Workflow]] = []

    def look(self) -> Workflow:
        return self.ground.do(the(self.ground.journal, self.id)).workflow

    @rule()
    def plans(self) -> None:
        """An attempt opens where one may, and asks for a decision about a new plan."""
        w = self.look()
        if w.status not in ("pending", "approved"):
            return
        w = self.ground.do(opened(self.ground.journal, self.id)).workflow
        voice, proposed = Voice(self.id, w.epoch, w.fact), plan(len(self.named))
        asks = voice.fact(e.WorkflowBlocked, plan=proposed, plan_sha256=plan_sha256(proposed))
        assert self.ground.do(self.ground.journal.append(arrived(asks))) == [None]
        self.named.append((asks.id, proposed))

    @rule(
        kind=st.sampled_from(KINDS),
        which=st.integers(0, 3),
        names=st.sampled_from(["both", "block", "hash", "neither", "crossed"]),
        tasks=st.sampled_from([(), ("first",), ("second",), ("first", "second"), ("third",)]),
        own_hash=st.booleans(),
    )
    def decides(self, kind: type[Any], which: int, names: str, tasks: tuple[str, ...], own_hash: bool) -> None:
        """By somebody who saw the newest block, or an older one, and names what was seen more or less exactly."""
        fields: dict[str, Any] = {"feedback": "smaller"} if kind is not c.ApproveWorkflow else {"tasks": tasks}
        if self.named:
            block, seen = self.named[-1 - which % len(self.named)]
            sha256 = plan_sha256(seen)
            if own_hash and kind is c.ApproveWorkflow and tasks == ("first",):
                sha256 = plan_sha256(part_of(seen, tasks))
            crossed = self.named[which % len(self.named)][0]
            fields |= {
                "both": {"block_id": block, "plan_sha256": sha256},
                "block": {"block_id": block},
                "hash": {"plan_sha256": sha256},
                "neither": {},
                "crossed": {"block_id": crossed, "plan_sha256": sha256},
            }[names]
        self.send(order(kind, self.id, **fields))

    @rule(kind=st.sampled_from([c.CancelWorkflow, c.RetryWorkflow, c.PauseWorkflow, c.ResumeWorkflow]))
    def orders(self, kind: type[Any]) -> None:
        self.send(order(kind, self.id))

    @rule(which=st.integers(0, 9))
    def says_it_again(self, which: int) -> None:
        """The same command id a second time is no second order."""
        if not self.sent:
            return
        command, answer = self.sent[which % len(self.sent)]
        before = self.look()
        executed = self.ground.do(self.ground.journal.execute(command, "body"))
        assert executed.repeated
        assert msgspec.json.decode(executed.answer)["status"] == answer.status
        assert self.look() == before

    @rule(late=st.booleans())
    def time_passes(self, late: bool) -> None:
        """The sweep of a timer that may not have run out changes nothing unless it has."""
        before = self.look()
        if late and before.status == "blocked":
            for name in ("deadline", "reminder"):
                self.ground.sql(
                    "UPDATE workflow SET state = jsonb_set(state::jsonb, $2, to_jsonb($3::text))::text WHERE id = $1",
                    self.id,
                    ["block", name],
                    "2020-01-01T00:00:00.000Z",
                )
        self.ground.do(self.ground.journal.wake([self.id]))
        after = self.look()
        assert after.status == ("failed" if late and before.status == "blocked" else before.status)

    def send(self, command: Any) -> None:
        before = self.look()
        try:
            executed = self.ground.do(self.ground.journal.execute(command, "body"))
        except Refused as refusal:
            assert before.id in str(refusal) or not isinstance(refusal, Conflict)
            assert self.look() == before
        else:
            self.sent.append((command, executed.row.workflow))

    @invariant()
    def each_block_is_decided_once_for_its_own_plan(self) -> None:
        said = [event for _, event in self.ground.do(stream(self.ground.journal, self.id))]
        decided: dict[str, str] = {}
        waiting, retried = "", False
        for event in said:
            match event:
                case e.WorkflowBlocked():
                    waiting, retried = event.id, False
                case e.WorkflowRetried():
                    retried = True
                case _ if isinstance(event, DECISIONS):
                    assert event.block_id == waiting, "a decision is about the block that waits"
                    assert event.block_id not in decided or retried, "a block is decided once, but for an ended one"
                    decided[event.block_id] = type(event).__name__
                    shown = dict(self.named)[event.block_id]
                    allowed = [plan_sha256(shown)]
                    if isinstance(event, e.WorkflowApproved) and event.tasks:
                        allowed = [plan_sha256(part_of(shown, event.tasks))]
                    assert event.plan_sha256 in allowed, "and names the plan that was shown"

    @invariant()
    def what_waits_has_a_deadline_and_what_ended_waits_for_nothing(self) -> None:
        w = self.look()
        assert w.status != "blocked" or (w.block is not None and w.block.deadline)
        [row] = self.ground.sql("SELECT wake_at, lease_until, status FROM workflow WHERE id = $1", self.id)
        assert row["status"] == w.status
        assert (row["wake_at"] is not None) == (w.status == "blocked" or bool(w.parked_until))
        assert w.status not in TERMINAL or row["lease_until"] is None


def test_a_block_is_decided_once_by_whoever_names_it(postgres_server: "Server") -> None:
    with ground(postgres_server) as Gate.ground:
        drive(Gate, examples=30, steps=20)
