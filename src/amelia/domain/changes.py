"""The changes there are: execute a command, take runtime events, record what the control plane found, close a gap."""

from collections.abc import Sequence

from msgspec.structs import replace

from ..contract.commands import AnyCommand
from ..contract.envelope import Event
from ..errors import NotFound, Refused
from . import intake, policy, timers
from .consequences import attend, look_again, lost
from .decide import decide
from .draft import Draft
from .effects import Arrived, Change, Effects, Executing, Reading, Seen
from .workflow import Workflow


def executing(command: AnyCommand, fingerprint: str) -> Change:
    """The command, what it makes true, and the order to the dispatcher, all or nothing. One that had nothing left to do
    is remembered too."""

    def compute(seen: Seen) -> Effects | None:
        if seen.fingerprint is not None:
            if seen.fingerprint != fingerprint:
                raise Refused("this idempotency key came before with another body; use a new key for a new request")
            return None
        events = decide(seen.workflow, command, seen.now)
        executed = Executing(command=command, fingerprint=fingerprint)
        if not events:
            assert seen.workflow is not None, "what is not there was not done before"
            return Effects(workflow=seen.workflow, executed=executed, only_life=True)
        effects = _controlled(seen, events)
        return replace(effects, commands=(look_again(command), *effects.commands), executed=executed)

    return Change(workflow_id=command.workflow_id, compute=compute, command_id=command.id)


def recording(workflow_id: str, reading: Reading, settles: tuple[str, ...]) -> Change:
    """What the dispatcher or the sweeper found true of the row under its lock."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None:
            raise NotFound(f"there is no workflow {workflow_id}")
        events = reading(seen.workflow, seen.now)
        return replace(_controlled(seen, events), settles=settles) if events or settles else None

    return Change(workflow_id=workflow_id, compute=compute)


def appending(workflow_id: str, arrived: Sequence[Arrived], rules: policy.Policy = policy.OPEN) -> Change:
    """A batch of one workflow's runtime events. Any valid one of the current attempt renews the lease. ``rules`` decide
    a plan among them, where the workflow leaves it to them."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None:
            raise NotFound(f"there is no workflow {workflow_id}")
        draft = Draft(seen, rules)
        draft.append(arrived)
        return draft.effects()

    def moves(workflow: Workflow) -> bool:
        """What waits goes on waiting unless something is admitted."""
        return any(intake.place(workflow, one.event) == "admit" for one in arrived)

    return Change(workflow_id=workflow_id, compute=compute, reads_waiting=moves)


def closing_gap(workflow_id: str, rules: policy.Policy = policy.OPEN) -> Change:
    """Says what progress is missing and admits what waited behind it. A missing fact stays missing."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None or not intake.behind(seen.workflow, seen.said):
            return None
        draft = Draft(seen, rules)
        draft.close_gaps()
        return draft.effects()

    return Change(workflow_id=workflow_id, compute=compute)


def renewing(workflow_id: str, epoch: int) -> Change:
    """Extends the lease of an attempt whose session was asked and works, while it is the open one."""

    def compute(seen: Seen) -> Effects | None:
        w = seen.workflow
        mine = w is not None and w.open and w.epoch == epoch
        return Effects(workflow=w, renew=True, only_life=True) if w is not None and mine else None

    return Change(workflow_id=workflow_id, compute=compute, reads_waiting=lambda _: False)


def expiring(workflow_id: str, max_attempts: int, progress_seconds: float = 0) -> Change:
    """Takes an attempt whose lease ran out, or that has not got on for too long, for lost; one that was renewed, or has
    got on, meanwhile is left alone."""

    def compute(seen: Seen) -> Effects | None:
        w = seen.workflow
        if w is None or not w.open:
            return None
        if seen.lease_expired:
            return _controlled(seen, (lost(w, "its lease ran out without a sign of life", max_attempts),))
        if progress_seconds and seen.idle_seconds >= progress_seconds:
            cause = f"it showed life and did nothing for {seen.idle_seconds:.0f} seconds"
            return _controlled(seen, (lost(w, cause, max_attempts, stalled=True),))
        return None

    return Change(workflow_id=workflow_id, compute=compute)


def waking(workflow_id: str) -> Change:
    """Ends a wait: what is parked is queued again, and the dispatcher told to look; a plan that nobody decides has its
    owner reminded, or is rejected."""

    def compute(seen: Seen) -> Effects | None:
        w = seen.workflow
        if w is None or not timers.next_wake(w) or timers.next_wake(w) > seen.now:
            return None
        events = timers.due(w, seen.now)
        if events or not w.parked_until:
            return _controlled(seen, events)
        order = attend(w.id, f"{w.id}/{w.parked_until}", w.correlation_id)
        return Effects(workflow=replace(w, parked_until=""), commands=(order,))

    return Change(workflow_id=workflow_id, compute=compute)


def control(workflow: Workflow | None, events: Sequence[Event], now: str) -> Effects:
    """Control-plane events alone, where nothing of the runtime waits."""
    return _controlled(Seen(now=now, workflow=workflow), events)


def _controlled(seen: Seen, events: Sequence[Event]) -> Effects:
    draft = Draft(seen)
    draft.control(events)
    return draft.effects()
