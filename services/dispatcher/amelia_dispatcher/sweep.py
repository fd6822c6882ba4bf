"""The sweeper: finds what nobody else would. One in the fleet at a time."""

import asyncio
import logging
from collections.abc import Iterable

from amelia.contract.ids import new_id
from amelia.errors import AmeliaError, Unavailable
from amelia.ports.journal import Journal
from amelia.settings import Settings

from .admission import Gatekeeper
from .attempt import Attempts
from .patience import Patience

log = logging.getLogger(__name__)

_MOST = 100
_ASKED_AT_ONCE = 4
_QUESTIONED_AT_ONCE = 32
"""Sessions asked whether they live; each may let us wait some seconds, and a takeover has thirty."""
_LATE_SECONDS = 5.0
"""After what a router that died had in hand can be seen again, somebody else has read it."""
_ANSWER_SECONDS = 6.0
"""A session that hangs must not hold up everybody's takeover."""


class Sweeper:
    """Leases that ran out are taken over when the session does not say that it works, attempts that do nothing are
    too, waits that are over are ended, gaps are closed or asked about, and whoever waits for a place is looked at.

    It holds while the router lags: the journal only calls overdue what fell due before the router had last read
    everything there was.
    """

    def __init__(self, journal: Journal, attempts: Attempts, gatekeeper: Gatekeeper, settings: Settings) -> None:
        self._journal = journal
        self._attempts = attempts
        self._gatekeeper = gatekeeper
        self._settings = settings
        self._turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._questions = asyncio.Semaphore(_QUESTIONED_AT_ONCE)
        self._patience = Patience()

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
        found = await self._journal.overdue(
            gap_seconds=self._settings.gap_seconds,
            limit=_MOST,
            progress_seconds=self._settings.progress_seconds,
            silence_seconds=self._settings.visibility_seconds + _LATE_SECONDS,
        )
        if found.wakes:
            await self._journal.wake(found.wakes)
        self._gatekeeper.look()
        self._patience.only(found.gaps)
        gaps = (self._ask_in_turn(workflow_id) for workflow_id in found.gaps)
        await asyncio.gather(self._take_over(found.leases, found.stalled), *gaps)

    async def _take_over(self, leases: Iterable[str], stalled: tuple[str, ...]) -> None:
        """What lives but does nothing is not asked."""
        silent = [workflow_id for workflow_id in leases if workflow_id not in stalled]
        alive = await asyncio.gather(*(self._lives(workflow_id) for workflow_id in silent))
        dead = [workflow_id for workflow_id, lives in zip(silent, alive, strict=True) if not lives]
        if not dead and not stalled:
            return
        for row in await self._journal.expire(
            [*dead, *stalled], self._settings.max_attempts, self._settings.progress_seconds
        ):
            log.warning("%s: %s", row.workflow.id, row.workflow.reason)

    async def _lives(self, workflow_id: str) -> bool:
        """The session of an attempt whose signs of life do not arrive says that it works, for as long as a lease."""
        async with self._questions:
            row = await self._journal.get(workflow_id)
            if row is None or not row.workflow.open or not await self._attempts.alive(row.workflow):
                return False
            log.info("%s: nothing is heard of attempt %d, but its session works", workflow_id, row.workflow.epoch)
            return await self._journal.renew(workflow_id, row.workflow.epoch)

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
            if not self._patience.over(workflow_id, (row.workflow.epoch, row.workflow.fact)):
                return
            async with self._journal.exclusively(f"session/{workflow_id}"):
                now = await self._journal.get(workflow_id)
                if now is not None and now.workflow.open and now.workflow.epoch == row.workflow.epoch:
                    log.info("%s: facts above %d are missing; asking again", workflow_id, now.workflow.fact)
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await self._attempts.call(now.workflow, new_id())
        except (AmeliaError, TimeoutError) as error:
            log.warning("%s: asking for missing facts failed: %s", workflow_id, error)
