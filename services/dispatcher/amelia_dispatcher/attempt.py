"""Attempts: opened in the journal before the runtime is invoked, so that no work is without a lease."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id, new_id
from amelia.contract.invocation import Accepted
from amelia.domain.consequences import lost
from amelia.domain.workflow import Workflow
from amelia.errors import AmeliaError, Conflict, Exhausted, NotStarted, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.forge import Credentials
from amelia.ports.journal import Journal, Row
from amelia.ports.queues import Keys, Runtimes
from amelia.settings import Settings

from .invocation import Invocations, Purpose
from .parking import parked

log = logging.getLogger(__name__)

Outcome = Literal["taken", "no_room", "not_started", "lost", "refused"]

_CONFLICT_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""AgentCore answers 409 while a session winds down, which takes up to 15 seconds."""
_ASK_SECONDS = 3.0
"""A session that works answers at once; to start one only to be asked may take longer, and then it does not work."""


class Attempts:
    def __init__(
        self, journal: Journal, runtimes: Runtimes, keys: Keys, credentials: Credentials, settings: Settings
    ) -> None:
        self._journal = journal
        self._runtimes = runtimes
        self._settings = settings
        self._invocations = Invocations(keys, credentials, settings, journal)

    async def opening(self, command_id: str) -> Callable[[Workflow], e.AttemptOpened]:
        """What opens a workflow's next attempt because of the command."""
        version = await self._invocations.key_version()
        seconds = round(self._settings.lease_seconds)

        def opened(w: Workflow) -> e.AttemptOpened:
            return e.AttemptOpened(
                id=derive_id(w.id, f"attempt/{w.epoch + 1}"),
                workflow_id=w.id,
                attempt=w.epoch + 1,
                correlation_id=w.correlation_id,
                causation_id=command_id,
                lease_seconds=max(1, seconds),
                key_version=version,
            )

        return opened

    async def start(self, workflow_id: str, command_id: str) -> None:
        """The next attempt of a workflow that has its place, settling the command with it."""
        opening = await self.opening(command_id)
        opened: list[int] = []

        def reading(w: Workflow, now: str) -> tuple[Event, ...]:
            opened.clear()
            if w.status not in ("pending", "approved") or not w.admitted or w.parked_until > now:
                return ()
            opened.append(w.epoch + 1)
            return (opening(w),)

        async with self._journal.exclusively(f"session/{workflow_id}"):
            row = await self._journal.record(workflow_id, reading, settles=[command_id])
            if row is not None and opened:
                reach("admitted")
                await self._invoke(row, command_id)

    async def begin(self, workflow_id: str, epoch: int, command_id: str) -> Outcome:
        """Invokes for an attempt that was opened, if it still is."""
        async with self._journal.exclusively(f"session/{workflow_id}"):
            row = await self._journal.get(workflow_id)
            if row is None or not row.workflow.open or row.workflow.epoch != epoch:
                return "refused"
            return await self._invoke(row, command_id)

    async def tell(self, workflow_id: str, command_id: str) -> None:
        """Lets the open attempt know what was sent to it since it was invoked. Raises ``Unavailable``."""
        async with self._journal.exclusively(f"session/{workflow_id}"):
            row = await self._journal.get(workflow_id)
            if row is not None and row.workflow.open and (row.workflow.messages or row.workflow.budget):
                try:
                    await self.call(row.workflow, command_id)
                except Refused as error:
                    log.error("%s cannot be told: %s", workflow_id, error)
        await self._journal.settle([command_id])

    async def alive(self, w: Workflow) -> bool:
        """Whether the session says that it works for the open attempt. Nothing is started by asking."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                answer = await self._once(w, new_id(), "ask")
        except (AmeliaError, TimeoutError) as error:
            log.info("%s attempt %d does not answer: %s", w.id, w.epoch, error)
            return False
        return answer.outcome in ("accepted", "duplicate") and answer.epoch == w.epoch

    async def _invoke(self, row: Row, command_id: str) -> Outcome:
        """The open attempt's first invocation; whatever comes of it is recorded. Hold the session's lock."""
        w = row.workflow
        try:
            if w.stalled:
                await self._end_stalled(w)
            answer = await self.call(w, command_id)
        except Exhausted as error:
            await self._park(w, str(error), keeps_place=False)
            return "no_room"
        except NotStarted as error:
            await self._park(w, str(error), keeps_place=True)
            return "not_started"
        except Unavailable as error:
            await self._lose(w, str(error))
            return "lost"
        except Refused as error:
            await self._refuse(w, command_id, str(error))
            return "refused"
        log.info("%s attempt %d: the runtime answers %s", w.id, w.epoch, answer.outcome)
        return "taken"

    async def call(self, w: Workflow, command_id: str) -> Accepted:
        """Only invokes. Raises ``NotStarted``, ``Unavailable`` when it may have, and ``Refused``."""
        for pause in (*_CONFLICT_PAUSES, None):
            try:
                return await self._once(w, command_id, "work")
            except Conflict as error:
                if pause is None:
                    raise NotStarted(str(error)) from error
                await asyncio.sleep(pause)
        raise AssertionError

    async def _once(self, w: Workflow, command_id: str, purpose: Purpose) -> Accepted:
        payload = msgspec.json.encode(await self._invocations.of(w, command_id, purpose))
        answer = await self._runtimes.invoke(w.id, payload)
        if purpose == "work":
            reach("invoked")
        try:
            return msgspec.json.decode(answer, type=Accepted)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"the runtime's answer is not one of ours: {error}") from error

    async def _end_stalled(self, w: Workflow) -> None:
        """The attempt before did nothing any more: what hangs there goes first."""
        try:
            await self._runtimes.stop(w.id)
        except Unavailable as error:
            raise NotStarted(f"the session that does nothing could not be stopped: {error}") from error

    async def _park(self, w: Workflow, cause: str, *, keeps_place: bool) -> None:
        """Nothing ran: it is tried again a little later, and does not count."""
        await self._record(w, lambda now: (parked(w, cause, now, keeps_place=keeps_place),))

    async def _lose(self, w: Workflow, cause: str) -> None:
        """Something may run: the next try is a new attempt, and a little later, unless this was the last."""
        said = lost(w, cause, self._settings.max_attempts)
        await self._record(w, lambda now: (said,) if said.final else (said, parked(w, cause, now, keeps_place=True)))

    async def _refuse(self, w: Workflow, command_id: str, cause: str) -> None:
        refusal = e.CommandRefused(
            id=derive_id(command_id, "refused"),
            workflow_id=w.id,
            correlation_id=w.correlation_id,
            command_id=command_id,
            command_type="start_workflow",
            cause=cause,
            final=True,
        )
        await self._record(w, lambda _: (refusal,))

    async def _record(self, w: Workflow, said: Callable[[str], tuple[Event, ...]]) -> None:
        """Only while that attempt is still the open one."""
        log.warning("%s attempt %d: the invocation failed", w.id, w.epoch)
        await self._journal.record(w.id, lambda now_w, now: said(now) if now_w.open and now_w.epoch == w.epoch else ())
