"""Leases and epochs: whoever was taken over has no effect, and nobody is taken over who shows life."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict

from ..samples import Voice, arrived, opened, order, start, stream, the
from .ground import OnGround, drive, ground

if TYPE_CHECKING:
    from ..conftest import Server

MOST_ATTEMPTS = 3


class Lease(OnGround):
    """``voices`` are the runtimes of all attempts; none of them ever learns that it was taken over."""

    @initialize()
    def begins(self) -> None:
        command = start()
        self.ground.do(self.ground.journal.execute(command))
        self.id = command.workflow_id
        self.voices: list[Voice] = []
        self.ground.do(self.ground.journal.drained("router"))

    def look(self) -> Workflow:
        return self.ground.do(the(self.ground.journal, self.id)).workflow

    @rule()
    def opens(self) -> None:
        w = self.look()
        if w.status in ("pending", "approved"):
            w = self.ground.do(opened(self.ground.journal, self.id)).workflow
            self.voices.append(Voice(self.id, w.epoch, w.fact))

    @rule(which=st.integers(0, 2), what=st.sampled_from(["beat", "fact", "progress", "tokens"]))
    def says(self, which: int, what: str) -> None:
        """By the current attempt or one that was taken over."""
        if not self.voices:
            return
        voice = self.voices[-1 - which % len(self.voices)]
        sayings: dict[str, Callable[[], Event]] = {
            "beat": voice.heartbeat,
            "fact": voice.fact,
            "progress": voice.progress,
            "tokens": lambda: voice.fact(e.TokensUsed),
        }
        said = sayings[what]()
        before = self.lease()
        assert self.ground.do(self.ground.journal.append(arrived(said))) == [None]
        current = voice.attempt == self.look().epoch and self.look().open
        after = self.lease()
        assert after == before or (current and before is not None and after > before)

    @rule(lease=st.booleans(), router_lags=st.booleans())
    def sweeps(self, lease: bool, router_lags: bool) -> None:
        """The lease has run out or not; the router has read everything since, or not."""
        if lease:
            self.ground.sql("UPDATE workflow SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
        lag = "5 s" if router_lags else "0 s"
        self.ground.sql(f"UPDATE consumer SET drained_at = now() - interval '{lag}' WHERE name = 'router'")
        before = self.look()
        found = self.ground.do(self.ground.journal.overdue(gap_seconds=3600, limit=100))
        assert (self.id in found.leases) == (before.open and lease and not router_lags)
        self.ground.do(self.ground.journal.expire(found.leases, MOST_ATTEMPTS))
        after = self.look()
        assert after.open == (before.open and self.id not in found.leases)
        if self.id in found.leases:
            assert after.status in ("pending", "failed")
            assert "attempt" in after.reason
            assert after.admitted == (after.status == "pending"), "a takeover keeps its place"
        elif before.open and lease:
            self.ground.sql("UPDATE workflow SET lease_until = now() + interval '20 s' WHERE lease_until IS NOT NULL")

    @rule(kind=st.sampled_from([c.CancelWorkflow, c.PauseWorkflow, c.ResumeWorkflow, c.RetryWorkflow]))
    def orders(self, kind: type[c.CancelWorkflow | c.PauseWorkflow | c.ResumeWorkflow | c.RetryWorkflow]) -> None:
        before = self.look()
        try:
            after = self.ground.do(self.ground.journal.execute(order(kind, self.id))).row.workflow
        except Conflict:
            assert self.look() == before
            return
        if kind in (c.CancelWorkflow, c.PauseWorkflow) and before.open:
            assert after.epoch == before.epoch + 1, "the attempt is stale from this moment on"
            assert not after.open

    def lease(self) -> Any:
        return self.ground.sql("SELECT lease_until FROM workflow WHERE id = $1", self.id)[0]["lease_until"]

    @invariant()
    def nothing_of_an_older_attempt_is_admitted(self) -> None:
        epoch, open_, facts = 0, False, 0
        for _, event in self.ground.do(stream(self.ground.journal, self.id)):
            match event:
                case e.AttemptOpened():
                    assert event.attempt > epoch
                    epoch, open_ = event.attempt, True
                case e.WorkflowCancelled() | e.WorkflowPaused():
                    epoch, open_ = epoch + open_ if isinstance(event, e.WorkflowPaused) else epoch + 1, False
                case e.RuntimeLost():
                    open_ = False
                case _ if event.fact:
                    assert (event.attempt, open_) == (epoch, True)
                    assert event.fact == facts + 1
                    facts = event.fact

    @invariant()
    def an_attempt_is_open_exactly_while_it_has_a_lease(self) -> None:
        w = self.look()
        assert w.open == (self.lease() is not None)
        assert w.open == (w.status == "in_progress")
        assert w.lost <= MOST_ATTEMPTS


def test_who_was_taken_over_has_no_effect_and_who_lives_is_not_taken_over(postgres_server: "Server") -> None:
    with ground(postgres_server) as Lease.ground:
        drive(Lease, examples=30, steps=25)
