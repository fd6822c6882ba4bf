"""The journal's tables as dictionaries, with the keys and the times that the PostgreSQL tables have."""

from datetime import datetime

import msgspec

from ...domain.workflow import Workflow
from ...ports.journal import Cursor, Destination, Row, Stored

HeldKey = tuple[str, int, int, int]
"""kind, attempt, fact, ordinal: what distinguishes the events that are kept beside one workflow's order."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow's row."""

    workflow: Workflow
    created_at: datetime
    updated_at: datetime
    lease_until: datetime | None = None
    wake_at: datetime | None = None
    gap_since: datetime | None = None

    @property
    def row(self) -> Row:
        return Row(
            workflow=self.workflow,
            created_at=self.created_at,
            updated_at=self.updated_at,
            lease_until=self.lease_until,
            behind=self.gap_since is not None,
        )


class Queued(msgspec.Struct, kw_only=True):
    """One row of the outbox."""

    id: str
    destination: Destination
    workflow_id: str
    body: str
    next_at: datetime
    publishes: int = 0


class Told(msgspec.Struct, frozen=True):
    """One event in the order of the whole fleet."""

    place: Cursor
    type: str
    stored: Stored


class Tables:
    """``events`` in the order of their sequence; ``told`` in the fleet's; ``held`` by workflow; ``commands`` with
    their fingerprints; ``drained`` by consumer; ``transactions`` counts those that wrote."""

    def __init__(self) -> None:
        self.workflows: dict[str, Record] = {}
        self.events: dict[str, list[Stored]] = {}
        self.told: list[Told] = []
        self.transactions = 0
        self.held: dict[str, dict[HeldKey, str]] = {}
        self.outbox: dict[str, Queued] = {}
        self.commands: dict[str, str] = {}
        self.drained: dict[str, datetime] = {}

    def waiting(self, workflow_id: str) -> tuple[str, ...]:
        held = self.held.get(workflow_id, {})
        return tuple(body for (kind, *_), body in held.items() if kind == "early")
