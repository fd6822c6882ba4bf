"""A workflow's row: what is written into it, and what is read from it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ...domain.intake import Said, behind
from ...domain.place import allowance, holds_place, paths
from ...domain.shown import workflow_view
from ...domain.timers import next_wake
from ...domain.workflow import Workflow, total
from ...ports.journal import Row

decode_state = msgspec.json.Decoder(Workflow).decode
_encode = msgspec.json.Encoder().encode

COLUMNS: dict[str, str] = {
    "id": "text",
    "team": "text",
    "owner": "text",
    "status": "text",
    "repository": "text",
    "epoch": "int",
    "sequence": "bigint",
    "state": "text",
    "wake_at": "timestamptz",
    "renew": "bool",
    "is_open": "bool",
    "behind": "bool",
    "admitted": "bool",
    "priority": "int",
    "title": "text",
    "queued": "bool",
    "paths": "text",
    "holds": "bool",
    "progress": "bool",
    "allowed_microdollars": "bigint",
    "allowed_tokens": "bigint",
    "spent_microdollars": "bigint",
    "spent_tokens": "bigint",
    "said_attempt": "int",
    "said_fact": "int",
    "said_ordinal": "int",
}
"""What ``written`` gives, in its order, and the types of it."""


def written(w: Workflow, said: Said, *, renew: bool, progress: bool) -> tuple[object, ...]:
    allowed, spent = allowance(w), total(w.spent)
    return (
        *(w.id, w.team, w.owner, w.status, w.repository, w.epoch, w.sequence, _encode(w).decode()),
        *(_moment(next_wake(w)), w.open and renew, w.open, behind(w, said), w.admitted, w.priority),
        *(text(w.issue.title), w.queued, _joined(paths(w)), holds_place(w), progress),
        *(allowed.microdollars, allowed.tokens, spent.cost_microdollars, spent.tokens),
        *(said.attempt, said.fact, said.ordinal),
    )


def said(record: Any) -> Said:
    return Said(record["said_attempt"], record["said_fact"], record["said_ordinal"])


def row(workflow: Workflow, record: Any) -> Row:
    return Row(
        workflow=workflow,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        lease_until=record["lease_until"],
        behind=record["gap_since"] is not None,
    )


def answer(row: Row) -> str:
    """What a command is answered with, now and whenever it is repeated. The issue's body, which never changes, is left
    to the row."""
    view = workflow_view(row.workflow, timestamp(row.created_at), timestamp(row.updated_at))
    if view.issue.body:
        view = msgspec.structs.replace(view, issue=msgspec.structs.replace(view.issue, body=""))
    return _encode(view).decode()


def timestamp(moment: datetime) -> str:
    """UTC, ISO 8601 with milliseconds and a Z: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text(value: str) -> str:
    """PostgreSQL's text holds no NUL; in a body it is escaped already."""
    return value.replace("\0", "\\u0000")


def _moment(time: str) -> datetime | None:
    return datetime.fromisoformat(time) if time else None


def _joined(files: tuple[str, ...] | None) -> str | None:
    return None if files is None else "\x1f".join(map(text, files))
