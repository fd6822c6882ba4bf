"""Rows as the API shows them, and the cursor of a list."""

import base64
from datetime import datetime, timedelta

from amelia.contract.views import UsageView, WorkflowView
from amelia.domain.workflow import total
from amelia.errors import Refused
from amelia.ports.journal import Row


def workflow_view(row: Row) -> WorkflowView:
    w = row.workflow
    return WorkflowView(
        id=w.id,
        status=w.status,
        phase=w.phase,
        reason=w.reason,
        issue=w.issue,
        repository=w.repository,
        base=w.base,
        branch=w.branch,
        commit=w.commit,
        owner=w.owner,
        profile=w.profile.name,
        auto_approve=w.auto_approve,
        attempt=w.epoch,
        sequence=w.sequence,
        block_id=w.block.event_id if w.block else "",
        plan_sha256=w.block.plan_sha256 if w.block else "",
        spent=total(w.spent),
        created_at=_time(row.created_at),
        updated_at=_time(row.updated_at),
    )


def usage_view(row: Row) -> UsageView:
    spent = row.workflow.spent
    return UsageView(workflow_id=row.workflow.id, spent=total(spent), attempts=dict(spent))


def cursor(row: Row) -> str:
    """Opaque to whoever gets it."""
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()} {row.workflow.id}".encode()).decode().rstrip("=")


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


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
