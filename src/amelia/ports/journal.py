"""The journal: the truth about every workflow."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from ..contract.commands import AnyCommand
from ..domain.crowd import Crowd, Limits
from ..domain.effects import Arrived, Reading
from ..domain.lessons import KeptLesson
from ..domain.workflow import Workflow
from ..errors import Refused

Destination = Literal["commands", "bus", "events", "ci", "tracker"]
Source = Literal["commands", "events", "ci"]
"""A queue that can be read; what its consumer gave up is sent there again when somebody asks for it. What was CI's is
not: its sender decides what it may, and would be another, so that the dispatcher takes it as it was recorded."""


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
    """An outbox row that is due. ``publishes`` is how often it has been sent before. ``once``: settled when it is sent,
    where others are by their outcome. ``sender`` is who the queue said sent it the first time, where it was redriven.
    """

    id: str
    destination: Destination
    workflow_id: str
    body: str
    publishes: int
    once: bool = False
    sender: str = ""


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """``repeated`` when this command had been executed before; then ``row`` is what it is now and ``answer`` what it
    was when the command was first answered: a ``WorkflowView`` as JSON whose issue has an empty body."""

    row: Row
    repeated: bool = False
    answer: str = ""


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """What the sweeper has to look at, by workflow id. ``stalled`` show life and do nothing."""

    leases: tuple[str, ...] = ()
    wakes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    stalled: tuple[str, ...] = ()


class MonthlySpending(msgspec.Struct, frozen=True, kw_only=True):
    """Of one owner's workflows together, in the month that the database's clock shows (UTC)."""

    microdollars: int = 0
    tokens: int = 0


Sought = Literal["artifact_stored", "tokens_used", "workflow_blocked"]
"""Types of events that are asked for by themselves."""

DeadLetterState = Literal["waiting", "redriven", "discarded"]


class Burial(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a consumer of ``source`` gave up, and why. ``queue_id`` is the queue's name for it, and ``sender``
    who the queue said sent it."""

    source: Source
    queue_id: str
    body: str
    cause: str
    receives: int = 1
    sender: str = ""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is the same whenever the same body is given up again, of CI's orders only from the same ``sender``; then
    ``receives`` are added.

    ``message_id``, ``type`` and ``workflow_id`` are what the body says, as far as it can be read. ``body`` is empty in
    lists; when it is not ``intact``, characters that cannot be kept are escaped in it, and it cannot be redriven.
    ``decided_by`` is who redrove or discarded it last.
    """

    id: str
    source: Source
    message_id: str
    workflow_id: str
    type: str
    cause: str
    receives: int
    body: str
    intact: bool
    first_at: datetime
    last_at: datetime
    state: DeadLetterState
    decided_by: str = ""
    sender: str = ""


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

    async def page(
        self,
        *,
        before: tuple[datetime, str] | None,
        limit: int,
        statuses: Sequence[str] = (),
        owner: str = "",
        repository: str = "",
    ) -> list[Row]:
        """Newest first, strictly before the given (created_at, id); those of any status when none is named."""
        ...

    async def events(self, after: dict[str, int], limit: int) -> list[Stored]:
        """Of each named workflow the events above its sequence, in order, at most ``limit`` each."""
        ...

    async def sought(self, workflow_id: str, sought: Sought, after: int = 0, limit: int = 500) -> list[Stored]:
        """The workflow's events of that type above the sequence, in order."""
        ...

    async def fleet_events(self, after: Cursor | None, limit: int) -> FleetPage:
        """Events of every workflow after the cursor, each workflow's in its order, at most ``limit``, fewer when large.
        What is once before a cursor stays all there is before it. ``None`` is the end: an empty page, the cursor of
        now."""
        ...

    async def due(self, limit: int, resend_seconds: float, destination: Destination | None = None) -> list[Outgoing]:
        """Claims outbox rows that are due, counting a publish; they are due again after ``resend_seconds``, twice as
        long with each publish, up to 16 times, give or take a quarter. What was never sent comes first, but for a
        quarter of the rows, which is for what is sent again."""
        ...

    async def unsent(self, ids: Sequence[str], after_seconds: float) -> None:
        """Takes back a claim that came to nothing: due again after ``after_seconds``, and the publish not counted."""
        ...

    async def settle(self, ids: Sequence[str]) -> None: ...

    async def overdue(
        self, *, gap_seconds: float, limit: int, progress_seconds: float = 0, silence_seconds: float = 15
    ) -> Overdue:
        """Leases that ran out, and gaps open for longer than ``gap_seconds``, before the router was last known to have
        read everything (one that fell silent counts for ``silence_seconds``: what it had in hand is seen again then),
        waits that are over, and attempts of which nothing was admitted for ``progress_seconds`` (0: however long)."""
        ...

    async def close_gap(self, workflow_id: str) -> Row | None:
        """Declares missing progress missing and admits what waited for it; still ``behind`` when a fact is missing."""
        ...

    async def expire(self, workflow_ids: Sequence[str], max_attempts: int, progress_seconds: float = 0) -> list[Row]:
        """Takes attempts for lost whose lease ran out, or of which nothing was admitted for ``progress_seconds`` (0:
        however long); returns the workflows that have none open now."""
        ...

    async def renew(self, workflow_id: str, epoch: int) -> bool:
        """Extends the lease of the attempt, whose session said that it works; false when it is not the open one."""
        ...

    async def places_taken(self) -> int:
        """How many workflows are in progress, those included whose attempt is about to be replaced."""
        ...

    async def crowd(self, most: int, limits: Limits, *, runnable: bool = False, of: str = "") -> Crowd:
        """Everyone who holds a place, and the first ``most`` who wait for one, in their order, with the workflow
        ``of`` wherever it stands. ``runnable`` leaves out who cannot be admitted under the limits for certain."""
        ...

    async def month(self, team: str, owner: str) -> MonthlySpending: ...

    async def lessons(self, team: str, repository: str = "") -> list[KeptLesson]:
        """What the team's workflows have learnt about the repository, or about all of them; the newest first."""
        ...

    async def forget(self, team: str, ids: Sequence[str]) -> list[KeptLesson]: ...

    async def wake(self, workflow_ids: Sequence[str]) -> None:
        """Orders the dispatcher to look again at parked workflows whose time has come."""
        ...

    async def drained(self, consumer: str, seconds_ago: float = 0, instance: str = "") -> None:
        """One instance of the consumer says that it has taken everything that was there ``seconds_ago``. Of several,
        the last to have done so counts, while it is heard (see ``overdue``)."""
        ...

    async def leave(self, consumer: str, instance: str) -> None:
        """The instance has settled all it had, and ends."""
        ...

    async def bury(self, burials: Sequence[Burial]) -> None:
        """Keeps what consumers gave up. The same again is the same dead letter, and waits again. The outbox row of a
        command, and of an order of CI's that was redriven, goes with it, or it would be sent for ever."""
        ...

    async def dead_letters(
        self, *, state: DeadLetterState | Literal[""] = "", before: tuple[datetime, str] | None = None, limit: int
    ) -> list[DeadLetter]:
        """Newest first, strictly before the given (last_at, id), without their bodies."""
        ...

    async def dead_letter(self, dead_letter_id: str) -> DeadLetter | None: ...

    async def redrive(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        """Puts each that waits into the outbox for its queue, its body as it was; for each id the dead letter as it is
        then, or ``NotFound``, or ``Conflict`` when it does not wait or cannot be sent."""
        ...

    async def discard(self, ids: Sequence[str], by: str) -> list[DeadLetter | Refused]:
        """Gives each that waits up for good; answers as ``redrive`` does."""
        ...

    def exclusively(self, name: str, *, wait: bool = True) -> "AsyncContext": ...

    def changes(self) -> AsyncIterator[dict[str, int]]:
        """Workflow ids and the sequence they reached, as notified. May lose some: read again now and then."""
        ...

    def outbox_wakes(self) -> AsyncIterator[dict[str, int]]:
        """Something was put into the outbox, for the destinations that are the keys; none named: look at all."""
        ...

    async def close(self) -> None: ...


class AsyncContext(Protocol):
    """Holds a fleet-wide lock of that name; ``False`` when it is taken and was not waited for."""

    async def __aenter__(self) -> bool: ...

    async def __aexit__(self, *exc: object) -> None: ...
