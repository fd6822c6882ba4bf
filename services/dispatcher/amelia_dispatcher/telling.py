"""What is said in the trackers: comments on issues, each once, whoever dies meanwhile. Nobody waits for them."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.contract.workflow import TrackerName
from amelia.domain.telling import COMMAND, Telling, linked, stale
from amelia.domain.workflow import Workflow
from amelia.errors import AmeliaError, Limited, Malformed, Refused, Unauthorised, Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Journal, Outgoing
from amelia.redaction import ours
from amelia.trackers.reference import Known
from amelia.trackers.tracker import Comment

log = logging.getLogger(__name__)

_AT_ONCE = 4
"""Each holds a lock and so a connection while its tracker answers."""
_PATIENCE = timedelta(hours=24)
_EARLIER = timedelta(minutes=10)
"""The tracker's clock may be behind ours."""


class Trackers(Protocol):
    def recognised(self, reference: str, tracker: TrackerName, repository: str = "") -> Known | None: ...

    async def tell(self, known: Known, comment: Comment) -> str: ...


class Teller:
    """Takes what the outbox has for trackers. Each row is settled when it was said, when it is no news any more, or
    when it never will be said, which the workflow's events then tell; until then it is due again, ever more seldom.
    ``link`` is where people reach this control plane, "" for nowhere."""

    def __init__(self, journal: Journal, trackers: Trackers, *, link: str = "") -> None:
        self._journal = journal
        self._trackers = trackers
        self._link = link
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def take(self, rows: Sequence[Outgoing]) -> None:
        """What belongs to one workflow is said in its order. Raises ``Unavailable`` when the journal is away."""
        told = [(row, telling) for row in rows if (telling := await self._read(row)) is not None]
        grouped: dict[str, list[tuple[Outgoing, Telling]]] = {}
        for row, telling in sorted(told, key=lambda pair: pair[1].sequence):
            grouped.setdefault(telling.workflow_id, []).append((row, telling))
        await asyncio.gather(*map(self._in_order, grouped.values()))

    async def _read(self, row: Outgoing) -> Telling | None:
        try:
            return msgspec.json.decode(row.body, type=Telling)
        except msgspec.DecodeError as error:
            log.error("%s: what is for its issue cannot be read and is let go: %s", row.workflow_id, error)
            await self._journal.settle([row.id])
            return None

    async def _in_order(self, tellings: Sequence[tuple[Outgoing, Telling]]) -> None:
        async with self._turns:
            for row, telling in tellings:
                if not await self._settled(row, telling):
                    return

    async def _settled(self, row: Outgoing, telling: Telling) -> bool:
        """False when it is to be tried again."""
        async with self._journal.exclusively(f"telling/{telling.workflow_id}", wait=False) as mine:
            if not mine:
                return False
            found = await self._journal.get(telling.workflow_id)
            if found is None:
                await self._journal.settle([row.id])
                return True
            try:
                await self._tell(found.workflow, telling, tried=row.publishes > 0)
            except (Unavailable, Unauthorised) as error:
                return await self._again(row, telling, error)
            except (Refused, Malformed) as error:
                await self._refuse(row, telling, str(error))
                return True
            except Exception as error:
                log.exception("%s: telling its issue failed", telling.workflow_id)
                return await self._again(row, telling, Unavailable(f"{type(error).__name__}: {error}"))
            await self._journal.settle([row.id])
            return True

    async def _tell(self, w: Workflow, telling: Telling, *, tried: bool) -> None:
        known = self._known(telling)
        if known is None or stale(telling, w, tried=tried):
            return
        since = datetime.fromisoformat(telling.at) - _EARLIER
        comment = Comment(text=ours().text(linked(telling, self._link)), key=telling.key, since=since.isoformat())
        where = await self._trackers.tell(known, comment)
        reach("relayed")
        log.info("%s: said on %s (%s): %s", telling.workflow_id, known.issue, telling.moment, where)

    def _known(self, telling: Telling) -> Known | None:
        """An issue may be a file's although the profile names a tracker: then there is nobody to tell."""
        known = self._trackers.recognised(telling.issue, telling.tracker, telling.repository)
        if known is None and telling.address:
            return self._trackers.recognised(telling.address, telling.tracker, telling.repository)
        return known

    async def _again(self, row: Outgoing, telling: Telling, error: AmeliaError) -> bool:
        """A wrong credential can be mended too."""
        if datetime.now(UTC) - datetime.fromisoformat(telling.at) > _PATIENCE:
            await self._refuse(row, telling, f"{error} (given up after a day)")
            return True
        log.warning("%s: what is for its issue is said later: %s", telling.workflow_id, error)
        if isinstance(error, Limited):
            await self._journal.unsent([row.id], error.seconds)
        return False

    async def _refuse(self, row: Outgoing, telling: Telling, cause: str) -> None:
        log.error("%s: its issue is not told (%s): %s", telling.workflow_id, telling.moment, cause)

        def reading(w: Workflow, _: str) -> tuple[Event, ...]:
            refused = e.CommandRefused(
                id=derive_id(telling.id, "refused"),
                workflow_id=w.id,
                correlation_id=w.correlation_id,
                command_id=telling.id,
                command_type=COMMAND,
                cause=cause,
            )
            return (refused,)

        await self._journal.record(telling.workflow_id, reading, settles=[row.id])
