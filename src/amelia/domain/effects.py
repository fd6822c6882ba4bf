"""What a change to the journal is computed from, and what it comes to. Pure: who stores it is an adapter's matter."""

from collections.abc import Callable, Sequence

import msgspec

from ..contract.commands import AnyCommand
from ..contract.envelope import Event
from .intake import Said
from .lessons import Learnt
from .telling import Telling
from .workflow import Workflow

Reading = Callable[[Workflow, str], Sequence[Event]]
"""Given the row under its lock and the database's time, the control-plane events that are true now."""

Key = tuple[int, int, int]
"""attempt, fact, ordinal: what distinguishes the events that are kept beside one workflow's order."""


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

    ``said`` is what the attempt is known to have said (None leaves it). ``held`` are further events to keep, unless
    they are there, and ``unheld`` the keys of early ones that wait no more. ``renew`` extends the lease; ``progress``:
    the attempt has got on. ``blamed`` are repositories that failed, with the cause. ``tells`` is what the tracker is
    told, ``learnt`` what is kept about repositories. ``only_life``: the workflow is as it was, and only its lease and
    what was said are to be written.
    """

    workflow: Workflow
    said: Said | None = None
    events: tuple[tuple[int, str, str, str], ...] = ()  # sequence, id, type, body
    commands: tuple[AnyCommand, ...] = ()
    publish: tuple[Event, ...] = ()
    held: tuple[Held, ...] = ()
    unheld: tuple[Key, ...] = ()
    settles: tuple[str, ...] = ()
    executed: Executing | None = None
    blamed: tuple[tuple[str, str], ...] = ()
    tells: tuple[Telling, ...] = ()
    learnt: tuple[Learnt, ...] = ()
    renew: bool = False
    progress: bool = False
    only_life: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is computed from: all read under the lock, at the database's ``now``.

    ``idle_seconds`` is how long ago the open attempt last got on. ``waiting`` are the bodies of the early events where
    the change reads them, ``held`` how many there are.
    """

    now: str
    workflow: Workflow | None
    lease_expired: bool = False
    idle_seconds: float = 0
    said: Said = Said()
    waiting: tuple[str, ...] = ()
    held: int = 0
    fingerprint: str | None = None


def _always(_: Workflow) -> bool:
    return True


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """``compute`` is pure; None changes nothing; what it raises is this change's answer and no other's.

    ``reads_waiting`` says of the workflow as it is found whether early events are to be read, if there are any: there
    may be many, and most changes do not move them.
    """

    workflow_id: str
    compute: Callable[[Seen], Effects | None]
    reads_waiting: Callable[[Workflow], bool] = _always
    command_id: str = ""
