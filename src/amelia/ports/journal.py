"""The journal: the truth about every workflow."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from ..contract.commands import AnyCommand
from ..domain.effects import Arrived, Reading
from ..domain.workflow import Workflow

Destination = Literal["commands", "bus"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as recorded, with the times only the database's clock gives. ``behind``: events wait for others."""

    workflow: Workflow
    created_at: datetime
    updated_at: datetime
    lease_until: datetime | None = None
    behind: bool = False


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """One event of a stream; ``body`` is its envelope as JSON, without the sequence."""

    workflow_id: str
    sequence: int
    body: str


Cursor = tuple[int, int]
"""A place in the fleet's order, (transaction, row); only compared. ``(0, 0)`` is before everything."""


class FleetEvent(msgspec.Struct, frozen=True, array_like=True):
    """One event of the fleet's stream, with its workflow's ``repository``, ``team`` and present ``status``."""

    place: Cursor
    workflow_id: str
    sequence: int
    type: str
    body: str
    repository: str
    team: str
    status: str


class FleetPage(msgspec.Struct, frozen=True, kw_only=True):
    """``cursor`` is where to go on, also past what is not there; ``complete`` when nothing more can be read now.

    ``lag_seconds`` is the age of what is recorded and cannot be read yet, because an older transaction is open.
    """

    items: tuple[FleetEvent, ...]
    cursor: Cursor
    complete: bool
    lag_seconds: float = 0.0


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox row that is due. ``publishes`` is how often it has been sent before."""

    id: str
    destination: Destination
    workflow_id: str
    body: str
    publishes: int


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when this command had been executed before; then ``row`` is what it is now."""

    row: Row
    repeated: bool = False


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """What the sweeper has to look at, by workflow id."""

    leases: tuple[str, ...] = ()
    wakes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


class Journal(Protocol):
    """Every method raises ``Unavailable`` when the database is away."""

    async def execute(self, command: AnyCommand, fingerprint: str = "") -> Executed:
        """Decides the command under the row's lock. The same command id again is no new order.

        Raises what ``decide`` raises, and ``Refused`` when the id came before with another fingerprint.
        """
        ...

    async def append(self, arrived: Sequence[Arrived]) -> list[Exception | None]:
        """Takes a batch of runtime events; for each, None or why it can never be taken (``Malformed``)."""
        ...

    async def record(self, workflow_id: str, reading: Reading, settles: Sequence[str] = ()) -> Row | None:
        """Appends what ``reading`` finds true, and settles outbox rows in the same transaction."""
        ...

    async def get(self, workflow_id: str) -> Row | None: ...

    async def page(self, *, status: str, before: tuple[datetime, str] | None, limit: int) -> list[Row]:
        """Newest first, strictly before the given (created_at, id)."""
        ...

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        """Of each named workflow the events above its sequence, in order, at most ``limit`` each."""
        ...

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        """Events of every workflow after the cursor, each workflow's in its order, at most ``limit``, fewer when large.

        What is once before a cursor stays all there is before it. ``None`` is the end: an empty page with the cursor
        of now.
        """
        ...

    async def due(self, limit: int, resend_seconds: float) -> list[Outgoing]:
        """Claims outbox rows that are due, counting a publish; they are due again after ``resend_seconds``."""
        ...

    async def settle(self, ids: Sequence[str]) -> None: ...

    async def overdue(self, *, gap_seconds: float, limit: int) -> Overdue:
        """Leases that ran out before the router was last known to have read everything, waits that are over,
        and gaps open for longer than ``gap_seconds``."""
        ...

    async def close_gap(self, workflow_id: str) -> Row | None:
        """Declares missing progress missing and admits what waited for it; still ``behind`` when a fact is missing."""
        ...

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int) -> list[Row]:
        """Takes attempts whose lease ran out for lost; returns the workflows that have none open now."""
        ...

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        """Orders the dispatcher to look again at parked workflows whose time has come."""
        ...

    async def drained(self, consumer: str, seconds_ago: float = 0) -> None:
        """The consumer says that it has taken everything that was there ``seconds_ago``."""
        ...

    def exclusively(self, name: str, *, wait: bool = True) -> "AsyncContext": ...

    def changes(self) -> AsyncIterator[dict[str, int]]:
        """Workflow ids and the sequence they reached, as notified. May lose some: read again now and then."""
        ...

    def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        """Something was put into the outbox."""
        ...

    async def close(self) -> None: ...


class AsyncContext(Protocol):
    """Holds a fleet-wide lock of that name; ``False`` when it is taken and was not waited for."""

    async def __aenter__(self) -> bool: ...

    async def __aexit__(self, *exc: object) -> None: ...
