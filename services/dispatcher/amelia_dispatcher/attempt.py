"""Attempts: opened in the journal before the runtime is invoked, so that no work is without a lease."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.contract.invocation import Accepted, Invocation
from amelia.contract.signature import attempt_key
from amelia.domain.consequences import lost
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, NotStarted, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Journal, Row
from amelia.ports.queues import Keys, Runtimes
from amelia.settings import Settings

log = logging.getLogger(__name__)

_CONFLICT_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""AgentCore answers 409 while a session winds down, which takes up to 15 seconds."""
_PARK_SECONDS = 5


class Attempts:
    def __init__(self, journal: Journal, runtimes: Runtimes, keys: Keys, settings: Settings) -> None:
        self._journal = journal
        self._runtimes = runtimes
        self._keys = keys
        self._settings = settings

    async def start(self, workflow_id: str, command_id: str) -> None:
        """Opens an attempt where the row asks for one, settling the command with it, then invokes."""
        key_version, _ = await self._keys.current()
        opened: list[int] = []

        def reading(w: Workflow, now: str) -> tuple[Event, ...]:
            opened.clear()
            if w.status not in ("pending", "approved") or w.parked_until > now:
                return ()
            opened.append(w.epoch + 1)
            return (self._opening(w, key_version, command_id),)

        async with self._journal.exclusively(f"session/{workflow_id}"):
            row = await self._journal.record(workflow_id, reading, settles=[command_id])
            if row is not None and opened:
                reach("admitted")
                await self.invoke(row, command_id)

    def _opening(self, w: Workflow, key_version: int, command_id: str) -> e.AttemptOpened:
        return e.AttemptOpened(
            id=derive_id(w.id, f"attempt/{w.epoch + 1}"),
            workflow_id=w.id,
            attempt=w.epoch + 1,
            correlation_id=w.correlation_id,
            causation_id=command_id,
            lease_seconds=round(self._settings.lease_seconds),
            key_version=key_version,
        )

    async def invoke(self, row: Row, command_id: str) -> None:
        """Invokes the session for the open attempt; whatever comes of it is recorded. Hold the session's lock."""
        w = row.workflow
        try:
            answer = await self.call(w, command_id)
        except NotStarted as error:
            await self._park(w, str(error))
        except Unavailable as error:
            await self._lose(w, str(error))
        except Refused as error:
            await self._refuse(w, command_id, str(error))
        else:
            log.info("%s attempt %d: the runtime answers %s", w.id, w.epoch, answer.outcome)

    async def call(self, w: Workflow, command_id: str) -> Accepted:
        """Only invokes. Raises ``NotStarted``, ``Unavailable`` when it may have, and ``Refused``."""
        payload = msgspec.json.encode(await self._invocation(w, command_id))
        for pause in (*_CONFLICT_PAUSES, None):
            try:
                answer = await self._runtimes.invoke(w.id, payload)
                reach("invoked")
                return msgspec.json.decode(answer, type=Accepted)
            except Conflict as error:
                if pause is None:
                    raise NotStarted(str(error)) from error
                await asyncio.sleep(pause)
            except msgspec.MsgspecError as error:
                raise Unavailable(f"the runtime's answer is not one of ours: {error}") from error
        raise AssertionError

    async def _invocation(self, w: Workflow, command_id: str) -> Invocation:
        version, master = await self._keys.current()
        return Invocation(
            command_id=command_id,
            workflow_id=w.id,
            epoch=w.epoch,
            signing_key=attempt_key(master, w.id, w.epoch).hex(),
            key_version=version,
            highest_fact=w.fact,
            highest_ordinal=w.ordinal,
            issue=w.issue,
            repository=w.repository,
            branch=w.branch,
            base=w.base,
            profile=w.profile,
            decision=w.decision,
            correlation_id=w.correlation_id,
            traceparent=w.traceparent,
            heartbeat_seconds=max(1, round(self._settings.heartbeat_seconds)),
        )

    async def _park(self, w: Workflow, cause: str) -> None:
        """Nothing ran: it is tried again a little later, and does not count."""
        await self._record(w, lambda now: (_parked(w, cause, now),))

    async def _lose(self, w: Workflow, cause: str) -> None:
        """Something may run: the next try is a new attempt, and a little later, unless this was the last."""
        said = lost(w, cause, self._settings.max_attempts)
        await self._record(w, lambda now: (said,) if said.final else (said, _parked(w, cause, now)))

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


def _parked(w: Workflow, cause: str, now: str) -> e.WorkflowParked:
    until = _later(now, _PARK_SECONDS)
    return e.WorkflowParked(
        id=derive_id(w.id, f"parked/{w.epoch}/{until}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        reason=cause,
        until=until,
    )


def _later(now: str, seconds: int) -> str:
    moment = datetime.fromisoformat(now) + timedelta(seconds=seconds)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
