"""Following a workflow of the fleet to its end."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from amelia.client.stream import Streamed, frames
from amelia.contract.views import CaughtUp, WorkflowView
from amelia.contract.workflow import TERMINAL
from amelia.errors import Unavailable

from .printing import clean
from .views import JsonLines, View

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.contract.events import AnyEvent

_MAY_END = frozenset(
    {
        "approval_deadline_passed",
        "branch_pushed",
        "command_refused",
        "pull_request_opened",
        "runtime_lost",
        "workflow_cancelled",
        "workflow_completed",
        "workflow_rejected",
    }
)
_MAY_STOP = frozenset({"budget_reached", "workflow_blocked", "workflow_paused", "workflow_timeout"})


def to_the_end(
    plane: "ControlPlane",
    workflow_id: str,
    shown: View,
    *,
    after: int = 0,
    blocked: Callable[[WorkflowView], bool] | None = None,
) -> WorkflowView:
    """The workflow as it ended, all its events shown; or as it is when ``blocked`` answers that nobody stays. It is
    asked when the workflow waits for a person: for a decision, or to be resumed.

    The status is asked for, not guessed from events: when one may have ended it, when the stream has caught up,
    and with each ping.
    """
    last, live = after, False
    for frame in frames(plane.url, plane.token, workflow_id, after=after, lost=_lost(shown)):
        if isinstance(frame, Streamed):
            last = frame.sequence
            show(shown, frame)
            look = live and (frame.type in _MAY_END or (frame.type in _MAY_STOP and blocked is not None))
        else:
            live, look = live or isinstance(frame, CaughtUp), True
        current = _look(plane, workflow_id) if look else None
        if current is None:
            continue
        if current.status in TERMINAL and last >= current.sequence:
            return current
        asks = isinstance(frame, CaughtUp) or getattr(frame, "type", "") in _MAY_STOP
        if blocked is not None and asks and current.status in ("blocked", "paused") and not blocked(current):
            return current
    raise AssertionError("a stream does not end by itself")


def until_caught_up(plane: "ControlPlane", workflow_id: str, shown: View, *, after: int = 0) -> None:
    """Shows what there is."""
    for frame in frames(plane.url, plane.token, workflow_id, after=after, patience=30, lost=_lost(shown)):
        if isinstance(frame, Streamed):
            show(shown, frame)
        elif isinstance(frame, CaughtUp):
            return


def show(shown: View, frame: Streamed) -> None:
    if frame.event is None or isinstance(shown, JsonLines):
        shown.unknown(frame.sequence, frame.type, frame.raw)
    else:
        shown.show(frame.sequence, cast("AnyEvent", frame.event))


def _look(plane: "ControlPlane", workflow_id: str) -> WorkflowView | None:
    try:
        return plane.workflow(workflow_id)
    except Unavailable:
        return None


def _lost(shown: View) -> Callable[[str], None]:
    return lambda why: shown.note(f"the fleet does not answer ({clean(why)}); trying again")
