"""The outbox: what was accepted is sent until its outcome is recorded, whoever dies and whatever is lost."""

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.errors import Refused
from amelia.ports.journal import Outgoing

from ..samples import order, start
from .ground import OnGround, drive, ground

if TYPE_CHECKING:
    from ..conftest import Server

RESEND = 30.0


class Outbox(OnGround):
    """``owed`` are the accepted commands whose outcome is not recorded; ``sent`` counts how often each was sent."""

    @initialize()
    def begins(self) -> None:
        self.ground.sql("TRUNCATE outbox, workflow, event, command")
        self.workflows: list[str] = []
        self.owed: dict[str, str] = {}
        self.sent: dict[str, list[int]] = {}
        self.claimed: list[Outgoing] = []

    @rule()
    def accepts_a_start(self) -> None:
        command = start()
        self.ground.do(self.ground.journal.execute(command))
        self.workflows.append(command.workflow_id)
        self.owed[command.id] = command.workflow_id

    @rule(which=st.integers(0, 9), kind=st.sampled_from([c.PauseWorkflow, c.ResumeWorkflow, c.CancelWorkflow]))
    def accepts_an_order(self, which: int, kind: type[Any]) -> None:
        if not self.workflows:
            return
        command = order(kind, self.workflows[which % len(self.workflows)])
        before = self.ground.sql("SELECT sequence FROM workflow WHERE id = $1", command.workflow_id)[0]["sequence"]
        try:
            row = self.ground.do(self.ground.journal.execute(command)).row
        except Refused:
            return
        if row.workflow.sequence > before:
            self.owed[command.id] = command.workflow_id

    @rule(most=st.integers(1, 5))
    def claims(self, most: int) -> None:
        """The relay takes what is due; nobody else gets the same meanwhile."""
        rows = self.ground.do(self.ground.journal.due(most, RESEND, "commands"))
        for row in rows:
            assert row.publishes not in self.sent.setdefault(row.id, []), "each publish has a number of its own"
            self.sent[row.id].append(row.publishes)
            assert codec.decode_command(row.body).id == row.id
        assert len({row.id for row in rows}) == len(rows) <= most
        self.claimed += rows

    @rule(which=st.integers(0, 9))
    def sends_and_records_the_outcome(self, which: int) -> None:
        if self.claimed:
            row = self.claimed.pop(which % len(self.claimed))
            self.ground.do(self.ground.journal.settle([row.id]))
            self.owed.pop(row.id, None)

    @rule()
    def dies_before_it_sends(self) -> None:
        """And with it what it had claimed; it comes again when its time has come."""
        self.claimed.clear()

    @rule()
    def time_passes(self) -> None:
        self.ground.sql("UPDATE outbox SET next_at = now() - interval '1 s'")

    @invariant()
    def what_is_owed_is_there(self) -> None:
        there = {row["id"] for row in self.ground.sql("SELECT id FROM outbox WHERE destination = 'commands'")}
        assert set(self.owed) <= there

    @invariant()
    def what_is_owed_falls_due_again(self) -> None:
        late = self.ground.sql("SELECT id FROM outbox WHERE next_at > now() + interval '1 h'")
        assert not late


def test_what_was_accepted_is_sent_until_its_outcome_is_recorded(postgres_server: "Server") -> None:
    with ground(postgres_server) as Outbox.ground:
        drive(Outbox, examples=30, steps=25)
