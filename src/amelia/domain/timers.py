"""The moments at which the control plane has to look at a workflow by itself."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from .workflow import Workflow

_REMINDER_SHARE = 6
"""The reminder comes when a sixth of the time is left: four hours before the end of a day."""


def begun(w: Workflow, now: str) -> Workflow:
    """A block that waits for a decision has a deadline from the moment it is recorded."""
    if w.status != "blocked" or w.block is None or w.block.deadline:
        return w
    minutes = w.profile.approval_minutes
    reminder = later(now, 60 * (minutes - minutes / _REMINDER_SHARE))
    return replace(w, block=replace(w.block, deadline=later(now, 60 * minutes), reminder=reminder))


def next_wake(w: Workflow) -> str:
    """UTC, ISO 8601; empty when nothing is waited for."""
    if w.status == "blocked" and w.block is not None:
        return w.block.reminder or w.block.deadline
    return w.parked_until


def due(w: Workflow, now: str) -> tuple[Event, ...]:
    """What the passing of time makes true of a workflow that waits for a decision."""
    block = w.block
    if w.status != "blocked" or block is None:
        return ()
    if block.deadline and block.deadline <= now:
        return (
            e.ApprovalDeadlinePassed(
                id=derive_id(block.event_id, f"deadline/{block.deadline}"),
                workflow_id=w.id,
                timestamp=now,
                correlation_id=w.correlation_id,
                causation_id=block.event_id,
                block_id=block.event_id,
                plan_sha256=block.plan_sha256,
                deadline=block.deadline,
            ),
        )
    if block.reminder and block.reminder <= now:
        return (
            e.ApprovalReminder(
                id=derive_id(block.event_id, f"reminder/{block.deadline}"),
                workflow_id=w.id,
                timestamp=now,
                correlation_id=w.correlation_id,
                causation_id=block.event_id,
                block_id=block.event_id,
                deadline=block.deadline,
            ),
        )
    return ()


def later(now: str, seconds: float) -> str:
    """UTC, ISO 8601 with milliseconds and a Z, as every time on the wire."""
    moment = datetime.fromisoformat(now) + timedelta(seconds=seconds)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
