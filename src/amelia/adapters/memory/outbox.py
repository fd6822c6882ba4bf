"""The outbox: what is due, and when it is due again."""

import hashlib
from datetime import datetime, timedelta

from ...ports.journal import Destination, Outgoing
from .tables import Queued, Tables

_MOST_PAUSES = 16


def claim(
    tables: Tables, now: datetime, limit: int, resend_seconds: float, destination: Destination | None
) -> list[Outgoing]:
    """What was never sent comes first; what is sent again takes a quarter at most while there is more of that."""
    due = [x for x in tables.outbox.values() if x.next_at <= now and destination in (None, x.destination)]
    due.sort(key=lambda row: row.next_at)
    fresh, again = [x for x in due if not x.publishes], [x for x in due if x.publishes]
    again = again[: max(limit // 4, limit - len(fresh))]
    return [_claimed(row, now, resend_seconds) for row in (*fresh[: limit - len(again)], *again)]


def _claimed(row: Queued, now: datetime, resend_seconds: float) -> Outgoing:
    taken = Outgoing(
        id=row.id,
        destination=row.destination,
        workflow_id=row.workflow_id,
        body=row.body,
        publishes=row.publishes,
        once=row.once,
        sender=row.sender,
    )
    pause = resend_seconds * min(2**row.publishes, _MOST_PAUSES)
    row.publishes += 1
    row.next_at = now + timedelta(seconds=pause * _quarter(f"{row.id}/{row.publishes}"))
    return taken


def _quarter(name: str) -> float:
    """0.75 to 1.25, the same for the same name."""
    return 0.75 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**33


def give_back(tables: Tables, now: datetime, ids: list[str], after_seconds: float) -> None:
    for row in (tables.outbox[id_] for id_ in ids if id_ in tables.outbox):
        row.publishes -= 1
        row.next_at = now + timedelta(seconds=after_seconds)
