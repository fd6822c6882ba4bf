"""Ending sessions: what waits for a person, or has ended, must not run."""

from amelia.domain.workflow import Workflow
from amelia.ports.journal import Journal
from amelia.ports.queues import Runtimes


def should_stop(workflow: Workflow) -> bool:
    """Nothing is to run: no attempt is open, and none is about to be."""
    return workflow.status == "blocked" or workflow.ended


async def stop(journal: Journal, runtimes: Runtimes, workflow_id: str) -> None:
    """Invoking and stopping are serialised per session; a stop that was overtaken by a new attempt is dropped."""
    async with journal.exclusively(f"session/{workflow_id}"):
        row = await journal.get(workflow_id)
        if row is not None and should_stop(row.workflow):
            await runtimes.stop(workflow_id)
