"""Rows as the API shows them, and the cursor of a list."""

import base64
from datetime import datetime, timedelta

from amelia.contract.views import DeadLetterView, QueueItem, QueuePlace, WorkflowView
from amelia.domain import shown
from amelia.domain.admission import Place
from amelia.domain.crowd import Waiting
from amelia.domain.shown import iso
from amelia.errors import Refused
from amelia.ports.journal import DeadLetter, Row


def workflow_view(row: Row) -> WorkflowView:
    return shown.workflow_view(row.workflow, iso(row.created_at), iso(row.updated_at))


def letter_view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        id=letter.id,
        source=letter.source,
        state=letter.state,
        cause=letter.cause,
        receives=letter.receives,
        type=letter.type,
        message_id=letter.message_id,
        workflow_id=letter.workflow_id,
        intact=letter.intact,
        first_at=iso(letter.first_at),
        last_at=iso(letter.last_at),
        decided_by=letter.decided_by,
        body=letter.body,
    )


def place_view(place: Place) -> QueuePlace:
    return QueuePlace(position=place.position, limit=place.limit, estimated_start=place.estimated_start)


def queue_item(waiting: Waiting, place: Place) -> QueueItem:
    return QueueItem(
        workflow_id=waiting.id,
        title=waiting.title,
        owner=waiting.owner,
        repository=waiting.repository,
        priority=waiting.priority,
        waiting_since=waiting.since,
        place=place_view(place),
    )


def cursor(moment: datetime, last_id: str) -> str:
    """Opaque to whoever gets it."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {last_id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[datetime, str] | None:
    """Raises ``Refused`` for one that no list gave."""
    if not text:
        return None
    try:
        moment, _, last_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        when = datetime.fromisoformat(moment)
    except ValueError:
        raise _no_cursor(text) from None
    if when.utcoffset() != timedelta() or "\0" in last_id:
        raise _no_cursor(text)
    return when, last_id


def _no_cursor(text: str) -> Refused:
    return Refused(f"{text[:200]!r} is not a cursor of this list; take the one the page before gave as 'next'")
