"""What a change to the journal is computed from, and what it comes to. Pure: who stores it is an adapter's matter."""

from collections.abc import Callable, Sequence

import msgspec

from ..contract.commands import AnyCommand
from ..contract.envelope import Event
from .workflow import Workflow

Reading = Callable[[Workflow, str], Sequence[Event]]
"""Given the row under its lock and the database's time, the control-plane events that are true now."""


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A verified runtime event and the JSON object it was read from, which is what is kept."""

    event: Event
    body: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is kept beside the order. ``kind``: early, stale or late."""

    kind: str
    event: Event
    body: str


class Executing(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be remembered."""

    command: AnyCommand
    fingerprint: str


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What one change comes to. ``workflow`` is the row after it; ``publish`` are control events for the bus.

    ``early`` replaces what waited for the workflow (None leaves it); ``renew`` extends the lease; ``progress``: its
    attempt has got on.
    ``only_life``: the workflow is as it was, and only its lease and its gap are to be written.
    """

    workflow: Workflow
    events: tuple[tuple[int, str, str, str], ...] = ()  # sequence, id, type, body
    commands: tuple[AnyCommand, ...] = ()
    publish: tuple[Event, ...] = ()
    early: tuple[Held, ...] | None = None
    kept: tuple[Held, ...] = ()
    settles: tuple[str, ...] = ()
    executed: Executing | None = None
    renew: bool = False
    progress: bool = False
    behind: bool = False
    only_life: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is computed from: all read under the lock, at the database's ``now``."""

    now: str
    workflow: Workflow | None
    lease_expired: bool = False
    waiting: tuple[str, ...] = ()
    fingerprint: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """``compute`` is pure; None changes nothing; what it raises is this change's answer and no other's."""

    workflow_id: str
    compute: Callable[[Seen], Effects | None]
    command_id: str = ""
