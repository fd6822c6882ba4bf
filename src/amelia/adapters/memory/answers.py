"""What commands are answered with, and how times are written."""

from datetime import UTC, datetime

import msgspec

from ...domain.shown import workflow_view
from ...ports.journal import Row

_encode = msgspec.json.Encoder().encode


def answer(row: Row) -> str:
    """The issue's body, which never changes, is left to the row."""
    w = row.workflow
    brief = msgspec.structs.replace(w, issue=msgspec.structs.replace(w.issue, body=""))
    return _encode(workflow_view(brief, timestamp(row.created_at), timestamp(row.updated_at))).decode()


def timestamp(moment: datetime) -> str:
    """UTC, ISO 8601 with milliseconds and a Z: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
