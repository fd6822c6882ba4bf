"""The journal's tables as dictionaries, with the keys and the times that the PostgreSQL tables have."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from ...domain.effects import Key
from ...domain.intake import Said
from ...domain.lessons import KeptLesson
from ...domain.place import holds_place
from ...domain.workflow import Workflow
from ...ports.journal import Cursor, DeadLetter, Destination, Row, Stored


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow's row."""

    workflow: Workflow
    created_at: datetime
    updated_at: datetime
    lease_until: datetime | None = None
    wake_at: datetime | None = None
    gap_since: datetime | None = None
    said: Said = Said()
    queued_since: datetime | None = None
    admitted_at: datetime | None = None
    released_at: datetime | None = None
    progress_at: datetime | None = None

    @property
    def row(self) -> Row:
        return Row(
            workflow=self.workflow,
            created_at=self.created_at,
            updated_at=self.updated_at,
            lease_until=self.lease_until,
            behind=self.gap_since is not None,
        )

    @property
    def holds_place(self) -> bool:
        return holds_place(self.workflow)


class Told(msgspec.Struct, frozen=True):
    """One event in the order of the whole fleet."""

    place: Cursor
    type: str
    stored: Stored


class Queued(msgspec.Struct, kw_only=True):
    """One row of the outbox."""

    id: str
    destination: Destination
    workflow_id: str
    body: str
    next_at: datetime
    publishes: int = 0
    once: bool = False
    sender: str = ""


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was executed, and what it was answered with."""

    fingerprint: str
    answer: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A repository that could not be cloned."""

    repository: str
    at: datetime
    cause: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How far one instance of a consumer has read its queue, and when it said so."""

    drained_at: datetime
    seen_at: datetime


class Grave(msgspec.Struct, frozen=True, kw_only=True):
    """``before`` counts the receives until it was last sent again."""

    letter: DeadLetter
    before: int = 0
    redrives: int = 0


class Tables:
    """``events`` in the order of their sequence; ``told`` in the fleet's; ``held`` by workflow and kind; ``spending``
    by team, owner and month; ``readings`` by consumer and instance; ``transactions`` counts those that wrote."""

    def __init__(self) -> None:
        self.workflows: dict[str, Record] = {}
        self.events: dict[str, list[Stored]] = {}
        self.told: list[Told] = []
        self.transactions = 0
        self.held: dict[str, dict[tuple[str, Key], str]] = {}
        self.outbox: dict[str, Queued] = {}
        self.commands: dict[str, Ordered] = {}
        self.readings: dict[tuple[str, str], Reading] = {}
        self.spending: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.failures: list[Failure] = []
        self.lessons: dict[str, KeptLesson] = {}
        self.graves: dict[str, Grave] = {}

    def waiting(self, workflow_id: str) -> list[str]:
        """The bodies of the early events."""
        return [body for (kind, _), body in self.held.get(workflow_id, {}).items() if kind == "early"]

    def hold(self, workflow_id: str, kind: str, key: Key, body: str) -> None:
        self.held.setdefault(workflow_id, {}).setdefault((kind, key), body)

    def unhold(self, workflow_id: str, keys: Iterable[Key]) -> None:
        held = self.held.get(workflow_id, {})
        for key in keys:
            held.pop(("early", key), None)
