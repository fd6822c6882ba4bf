"""The sweeper: finds what nobody else would. One in the fleet at a time."""

import asyncio
import logging

from amelia.contract.ids import new_id
from amelia.errors import AmeliaError, Unavailable
from amelia.ports.journal import Journal
from amelia.settings import Settings

from .attempt import Attempts

log = logging.getLogger(__name__)

_MOST = 100
_ASKED_AT_ONCE = 4


class Sweeper:
    """Leases that ran out are taken over, waits that are over are ended, gaps are closed or asked about.

    It holds while the router lags: the journal only calls overdue what fell due before the router had last read
    everything there was.
    """

    def __init__(self, journal: Journal, attempts: Attempts, settings: Settings) -> None:
        self._journal = journal
        self._attempts = attempts
        self._settings = settings
        self._turns = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with self._journal.exclusively("sweeper", wait=False) as mine:
                    if mine:
                        await self.sweep()
            except Unavailable as error:
                log.warning("the sweep has to wait: %s", error)
            except Exception:
                log.exception("the sweep failed; the next one tries again")
            try:
                await asyncio.wait_for(stop.wait(), self._settings.sweep_seconds)
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        found = await self._journal.overdue(gap_seconds=self._settings.gap_seconds, limit=_MOST)
        if found.leases:
            for row in await self._journal.expire(found.leases, self._settings.max_attempts):
                log.warning("%s: %s", row.workflow.id, row.workflow.reason)
        if found.wakes:
            await self._journal.wake(found.wakes)
        await asyncio.gather(*(self._ask_in_turn(workflow_id) for workflow_id in found.gaps))

    async def _ask_in_turn(self, workflow_id: str) -> None:
        async with self._turns:
            await self._ask(workflow_id)

    async def _ask(self, workflow_id: str) -> None:
        """Missing progress is declared missing. A missing fact is asked for: an invocation in the same epoch makes
        the runtime announce again. One that cannot be asked may work on: whether it lives is its lease's matter."""
        try:
            row = await self._journal.close_gap(workflow_id)
            if row is None or not row.behind or not row.workflow.open:
                return
            async with self._journal.exclusively(f"session/{workflow_id}"):
                now = await self._journal.get(workflow_id)
                if now is not None and now.workflow.open and now.workflow.epoch == row.workflow.epoch:
                    log.info("%s: facts above %d are missing; asking again", workflow_id, now.workflow.fact)
                    await self._attempts.call(now.workflow, new_id())
        except AmeliaError as error:
            log.warning("%s: asking for missing facts failed: %s", workflow_id, error)
