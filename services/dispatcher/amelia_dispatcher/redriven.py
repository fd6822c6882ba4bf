"""Orders of CI's that were given up and are redriven: taken as their senders', and not from the queue."""

import logging
from collections.abc import Sequence

from amelia.consumer import Handler, Verdict
from amelia.errors import Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Burial, Journal, Outgoing
from amelia.ports.queues import Message

log = logging.getLogger(__name__)


class Redriven:
    """Sent to the queue again, they would be the control plane's there; and what a message says beside its body can be
    said by whoever may send one. So ``handle`` is given them here, with the sender that the queue named when they came.
    Each is settled when it is in the journal, or a dead letter again."""

    def __init__(self, journal: Journal, handle: Handler) -> None:
        self._journal = journal
        self._handle = handle

    async def take(self, rows: Sequence[Outgoing]) -> None:
        """Raises ``Unavailable``; what is not settled then is due again, and is the same order."""
        for row in rows:
            verdict = await self._verdict(row)
            if verdict.kind == "again":
                continue
            if verdict.kind == "dead":
                log.error("the order %s, redriven, is a dead letter again: %s", row.id, verdict.reason)
                await self._journal.bury([_burial(row, verdict.reason)])
            reach("relayed")
            await self._journal.settle([row.id])

    async def _verdict(self, row: Outgoing) -> Verdict:
        try:
            [verdict] = await self._handle([Message(id=row.id, body=row.body, receipt=row.id, sender=row.sender)])
        except Unavailable:
            raise
        except Exception as error:
            log.exception("the order %s, redriven, failed", row.id)
            return Verdict("dead", f"{type(error).__name__}: {error}")
        return verdict


def _burial(row: Outgoing, cause: str) -> Burial:
    return Burial(source="ci", queue_id=row.id, body=row.body, sender=row.sender, cause=cause)
