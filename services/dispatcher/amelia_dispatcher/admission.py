"""Admission: who is next gets a place and an attempt, as many in a second as the platform starts sessions."""

import asyncio
import logging
from collections.abc import Coroutine

import msgspec
from aiolimiter import AsyncLimiter
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.contract.workflow import Budget
from amelia.domain.admission import Admission, admit, full
from amelia.domain.crowd import Limits
from amelia.domain.reservation import dollars
from amelia.domain.workflow import Workflow, left
from amelia.errors import Unavailable
from amelia.failpoints import reach
from amelia.limits import limits_of
from amelia.ports.journal import Journal
from amelia.ports.queues import Runtimes
from amelia.settings import Settings

from . import sessions
from .attempt import Attempts

log = logging.getLogger(__name__)

_FIRST = 200
"""Who is looked at, in their order; further ones only while there are places that none of these can take."""
_AT_ONCE = 18
"""Sessions being started beside each other, each with a lock and so a connection."""
_LONGEST_HOLD_SECONDS = 30.0
_DRAIN_SECONDS = 5.0


class _Considered(msgspec.Struct, kw_only=True):
    """``begun``: it had an attempt before, so that a session of it may be there."""

    command_ids: list[str] = []
    begun: bool = False


class Gatekeeper:
    """One in the fleet decides at a time, under a lock. However often it is asked to look, it looks once at a time and
    then once more."""

    def __init__(self, journal: Journal, runtimes: Runtimes, attempts: Attempts, settings: Settings) -> None:
        self._journal = journal
        self._runtimes = runtimes
        self._attempts = attempts
        self._settings = settings
        self._limits = limits_of(settings)
        self._starts = AsyncLimiter(max(1.0, settings.session_starts_per_second), 1.0)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._considered: dict[str, _Considered] = {}
        self._wanted = False
        self._passing: asyncio.Task[None] | None = None
        self._beginning: set[asyncio.Task[None]] = set()
        self._waited_for: dict[str, str] = {}
        self._held_seconds = 0.0
        self._held_until = 0.0

    def consider(self, w: Workflow, command_id: str) -> None:
        """Admits it as soon as it is its turn, and settles the command."""
        considered = self._considered.setdefault(w.id, _Considered())
        considered.command_ids.append(command_id)
        considered.begun = considered.begun or w.epoch > 0
        self.look()

    def look(self) -> None:
        """Somebody came, or gave a place back."""
        self._wanted = True
        if self._passing is None or self._passing.done():
            self._passing = asyncio.create_task(self._pass_while_wanted())

    async def looked(self) -> None:
        """Returns when what was asked for is done, and whoever was admitted has been invoked."""
        while working := self._working():
            await asyncio.wait(working)

    async def drain(self, seconds: float = _DRAIN_SECONDS) -> None:
        """What does not end in time is made good: by the lease of what was opened, by the queue of what was not."""
        if working := self._working():
            await asyncio.wait(working, timeout=seconds)
        while working := self._working():
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def _working(self) -> set[asyncio.Task[None]]:
        passing = self._passing
        return {*self._beginning} | ({passing} if passing is not None and not passing.done() else set())

    async def _pass_while_wanted(self) -> None:
        while self._wanted:
            self._wanted = False
            considered, self._considered = self._considered, {}
            try:
                await self._pass(considered)
            except Unavailable as error:
                log.warning("admission has to wait: %s", error)
            except Exception:
                log.exception("admission failed; the next look tries again")

    async def _pass(self, considered: dict[str, _Considered]) -> None:
        """Orders that lead to nothing now are settled: who waits is in the queue itself, and is found there."""
        held = asyncio.get_running_loop().time() < self._held_until
        if not held and not full(await self._journal.places_taken(), self._limits):
            async with self._journal.exclusively("admission"):
                await self._admit(considered)
        if considered:
            self._spawn(self._left_waiting(considered))

    async def _admit(self, considered: dict[str, _Considered]) -> None:
        most = _FIRST
        while True:
            crowd = await self._journal.crowd(most, self._limits, runnable=True)
            turn = admit(crowd, self._limits)
            for one in turn.admitted:
                known = considered.get(one.id)
                await self._open(one, known.command_ids if known else [])
                considered.pop(one.id, None)
            self._waited_for = {id_: place.limit for id_, place in turn.places.items()}
            taken = len(crowd.running) + len(turn.admitted)
            if crowd.queued <= len(crowd.waiting) or full(taken, self._limits):
                return
            most *= 10

    async def _open(self, one: Admission, command_ids: list[str]) -> None:
        """Looks again under the row's lock. Invoked behind it: the next one need not wait for that."""
        opening = await self._attempts.opening(next(iter(command_ids), ""))
        opened: list[int] = []
        room = not one.used_up or not full(await self._journal.places_taken(), self._limits)

        def reading(w: Workflow, now: str) -> tuple[Event, ...]:
            opened.clear()
            if not w.queued:
                return ()
            if w.done and not room:
                return ()
            if w.done:
                return (_admitted(w, one, self._waited_for.get(w.id, "")),)
            if one.used_up:
                return (_without_means(w, self._limits),)
            if left(replace(w, cap=Budget())).used_up:
                return ()
            opened.append(w.epoch + 1)
            return (_admitted(w, one, self._waited_for.get(w.id, "")), opening(w))

        await self._starts.acquire()
        await self._room.acquire()
        try:
            row = await self._journal.record(one.id, reading, settles=command_ids)
        except BaseException:
            self._room.release()
            raise
        if row is None or not opened:
            self._room.release()
            return
        reach("admitted")
        self._spawn(self._begin(one.id, opened[0], next(iter(command_ids), "") or derive_id(one.id, str(opened[0]))))

    async def _begin(self, workflow_id: str, epoch: int, command_id: str) -> None:
        try:
            outcome = await self._attempts.begin(workflow_id, epoch, command_id)
        finally:
            self._room.release()
        if outcome == "no_room":
            self._hold()
        elif outcome == "taken":
            self._held_seconds = 0.0
        if outcome != "taken":
            self.look()

    def _hold(self) -> None:
        """While the platform has no room, the others would only be turned away too, one after the other."""
        self._held_seconds = min(max(1.0, 2 * self._held_seconds), _LONGEST_HOLD_SECONDS)
        self._held_until = asyncio.get_running_loop().time() + self._held_seconds

    async def _left_waiting(self, considered: dict[str, _Considered]) -> None:
        """Who has to wait does so without a session."""
        fresh = [id_ for one in considered.values() if not one.begun for id_ in one.command_ids]
        if fresh:
            await self._journal.settle(fresh)
        for workflow_id, one in considered.items():
            if one.begun:
                self._spawn(self._stop(workflow_id, one.command_ids))

    async def _stop(self, workflow_id: str, command_ids: list[str]) -> None:
        async with self._room:
            await sessions.stop(self._journal, self._runtimes, workflow_id)
        await self._journal.settle(command_ids)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)


async def _quietly(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Unavailable as error:
        log.warning("it has to wait: %s", error)
    except Exception:
        log.exception("it failed; its lease or its order makes it good")


def _admitted(w: Workflow, one: Admission, waited_for: str) -> e.WorkflowAdmitted:
    return e.WorkflowAdmitted(
        id=derive_id(w.id, f"admitted/{w.sequence}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        waited_for=waited_for,
        reserved=one.reserved,
    )


def _without_means(w: Workflow, limits: Limits) -> Event:
    budget = w.budget or limits.workflow
    most = dollars(budget.microdollars) if budget.microdollars else f"{budget.tokens:,} tokens"
    return e.WorkflowPaused(
        id=derive_id(w.id, f"without-means/{w.sequence}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        kind="budget",
        paused_by="the control plane",
        reason=f"nothing is left of its budget of {most}; resume it with a larger one",
    )
