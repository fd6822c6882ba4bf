"""Ending sessions: what waits for a person or for its turn, or has ended, must not run."""

import asyncio
import logging

from amelia.domain.workflow import Workflow
from amelia.errors import Unavailable
from amelia.ports.journal import Journal
from amelia.ports.queues import Runtimes

log = logging.getLogger(__name__)

_PAUSES = (0.3, 1.0, 3.0)


def should_stop(workflow: Workflow) -> bool:
    """Nothing is to run: no attempt is open, and none is about to be."""
    if workflow.status in ("blocked", "paused") or workflow.ended:
        return True
    return workflow.status in ("pending", "approved") and not workflow.admitted


async def stop(journal: Journal, runtimes: Runtimes, workflow_id: str) -> None:
    """Invoking and stopping are serialised per session; a stop that was overtaken by a new attempt is dropped.

    Tried a few times, looking each time whether it is still wanted. Raises ``Unavailable``.
    """
    for pause in (*_PAUSES, None):
        try:
            async with journal.exclusively(f"session/{workflow_id}"):
                row = await journal.get(workflow_id)
                if row is not None and should_stop(row.workflow):
                    await runtimes.stop(workflow_id)
            return
        except Unavailable as error:
            if pause is None:
                raise
            log.warning("%s is not stopped yet: %s", workflow_id, error)
        await asyncio.sleep(pause)
