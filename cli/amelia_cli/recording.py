"""A workflow that has ended, as a conversation file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from amelia.contract.workflow import TERMINAL
from amelia.domain.recorded import Begun, History, Recorded, history
from amelia.errors import Conflict, NotFound

from .conversing import Held, held, sections
from .plainly import yaml_of

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.contract.envelope import Event

    from .local_plane import LocalPlane

_TRANSCRIPT = "transcript-"
_HEAD = """\
# What the model said while {id} was worked, and what it had been told before ("after", "ended": only compared).
# amelia rerun FILE plays it against this version; amelia start ISSUE --replay FILE, and amelia up --replay FILE, too.
"""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """``conversations`` are in the order in which they began."""

    recorded: Recorded
    conversations: tuple[Held, ...]


def record(plane: "ControlPlane | LocalPlane", workflow_id: str) -> Recording:
    """Raises ``Conflict`` while it is worked, ``NotFound`` when it has kept no conversation."""
    status = plane.workflow(workflow_id).status
    if status not in TERMINAL:
        raise Conflict(f"{workflow_id} is {status}; it can be exported when it has ended")
    found = observe(plane, workflow_id)
    if not any(one.turns for one in found.conversations):
        raise NotFound(f"{workflow_id} has kept no conversation; export one whose agents have worked")
    return found


def observe(plane: "ControlPlane | LocalPlane", workflow_id: str) -> Recording:
    """As far as it has come."""
    view = plane.workflow(workflow_id)
    told = history(events_of(plane, workflow_id))
    assert told is not None, "a workflow begins with its submission"
    names = [name for name in told.artifacts if name.startswith(_TRANSCRIPT)]
    conversations = [held(name, plane.artifact(workflow_id, name)) for name in names]
    recorded = replace(told.recorded, result=view.status, reason=view.reason, diff=_diff(plane, workflow_id, told))
    return Recording(recorded=recorded, conversations=tuple(in_order(conversations, told.begun)))


def events_of(plane: "ControlPlane | LocalPlane", workflow_id: str) -> "Sequence[Event]":
    """All that there are now."""
    from amelia.client.http import ControlPlane

    if not isinstance(plane, ControlPlane):
        return plane.events(workflow_id)
    from .views import Silent
    from .watch import until_caught_up

    class Gathered(Silent):
        def __init__(self) -> None:
            self.events: list[Event] = []

        def show(self, sequence: int, event: "Event") -> None:
            self.events.append(event)

    gathered = Gathered()
    until_caught_up(plane, workflow_id, gathered, after=0)
    return gathered.events


def _diff(plane: "ControlPlane | LocalPlane", workflow_id: str, told: History) -> str:
    name = "work.diff"
    return plane.artifact(workflow_id, name).decode(errors="replace") if name in told.artifacts else ""


def in_order(conversations: Sequence[Held], begun: Sequence[Begun]) -> list[Held]:
    """As their agents started; reviewers that work beside each other start as one."""
    first: dict[Begun, int] = {}
    for number, agent in enumerate(begun):
        first.setdefault(agent, number)

    def place(one: Held) -> int:
        as_one = first.get((one.agent, "", one.round), len(begun))
        return first.get((one.agent, one.task, one.round), as_one)

    return sorted(conversations, key=place)


def document(recording: Recording) -> str:
    """As ``amelia-replay`` reads it."""
    recorded = recording.recorded
    issue = recorded.issue.id
    plain = len(issue) <= 64 and not set(issue) & set("*?[]")
    made: dict[str, Any] = {"version": 1, **({"issue": issue} if plain else {})}
    made["recorded"] = msgspec.to_builtins(recorded)
    made["conversations"] = [section for one in recording.conversations for section in sections(one)]
    return _HEAD.format(id=recorded.workflow_id) + yaml_of(made)
