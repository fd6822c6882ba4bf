"""One attempt in this process: its work in the background, and what it says."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Literal

import msgspec

from amelia.contract.invocation import Invocation
from amelia.errors import AmeliaError
from amelia.orchestrator.account import Account
from amelia.orchestrator.job import Ended
from amelia.orchestrator.live import Ends, Live
from amelia.ports.agents import Announcer
from amelia.ports.queues import Bus

from .announcer import BusAnnouncer
from .logs import WORKING_FOR

Work = Callable[[Invocation, Announcer, Live], Awaitable[Ended]]
Busy = Callable[[], AbstractContextManager[None]]
"""While one is entered, ``/ping`` answers HealthyBusy."""

GRACE = 10.0
"""Seconds that cancelled work gets to end its processes."""

log = logging.getLogger(__name__)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the process opens once."""

    bus: Bus
    work: Work


class Attempt:
    """``state``: ``lost`` when the work ended without a word that the next attempt could rely on. ``begun`` is when the
    session began, in the loop's time."""

    def __init__(self, asked: Invocation, parts: Parts, busy: Busy, begun: float) -> None:
        self.epoch = asked.epoch
        self.state: Literal["working", "blocked", "paused", "finished", "lost"] = "working"
        self._asked = asked
        self._commands = {asked.command_id}
        self._work = parts.work
        self._busy = busy
        account = Account(asked.epoch, asked.left, asked.spent)
        self._live = Live(account, asked.messages, Ends.of(asked.session_seconds, begun))
        self._announcer = BusAnnouncer(parts.bus, asked, used=lambda: account.used)
        self._task = self._begin(self._worked())

    @property
    def last_fact(self) -> int:
        return self._announcer.last_fact

    @property
    def alive(self) -> bool:
        """Works, or says what it has to say."""
        return not self._task.done()

    def knows(self, command_id: str) -> bool:
        return command_id in self._commands

    def again(self, asked: Invocation) -> Literal["accepted", "duplicate"]:
        """Says again what the bus may have lost, passes on what people have said since, and goes on where there is
        something to go on with."""
        outcome: Literal["accepted", "duplicate"] = "duplicate" if self.knows(asked.command_id) else "accepted"
        self._live.notes = asked.messages
        self._live.account.allow(asked.left, asked.spent)
        self._commands.add(asked.command_id)
        self._announcer.repeat(asked.highest_fact)
        if self._task.done():
            decided = self.state == "blocked" and asked.decision not in (None, self._asked.decision)
            goes_on = decided or self.state == "lost"
            self._asked = asked
            self._task = self._begin(self._worked() if goes_on else self._said())
        return outcome

    async def abandon(self) -> None:
        """Not one more event of it leaves after this has returned."""
        await self._announcer.close()
        await self._cancelled(GRACE)

    async def stop(self, seconds: float) -> None:
        """Ends the work; what it has said has so long to reach the bus."""
        await self._cancelled(seconds)
        await asyncio.wait([asyncio.ensure_future(self._announcer.drained())], timeout=seconds)
        await self._announcer.close()

    async def _cancelled(self, seconds: float) -> None:
        self._task.cancel()
        _, still = await asyncio.wait([self._task], timeout=seconds)
        if still:
            log.error("the cancelled work of attempt %d has not ended after %s s", self.epoch, seconds)

    def _begin(self, doing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Busy from now on, not from when the task first runs."""
        busy = self._busy()
        busy.__enter__()
        WORKING_FOR.set((self._asked.workflow_id, self.epoch))
        task = asyncio.create_task(doing)
        task.add_done_callback(lambda _: busy.__exit__(None, None, None))
        return task

    async def _worked(self) -> None:
        self.state = "working"
        self._announcer.start()
        try:
            ended = await self._work(self._asked, self._announcer, self._live)
            await self._announcer.drained()
            await self._announcer.show_life()
        except Exception as error:
            self.state = "lost"
            log.error("the work is lost: %s", error, exc_info=not isinstance(error, AmeliaError))
        else:
            self.state = ended.state
            log.info("%s at fact %d %s", ended.state, ended.last_fact, ended.cause)
        finally:
            self._announcer.rest()

    async def _said(self) -> None:
        self._announcer.start()
        try:
            await self._announcer.drained()
            await self._announcer.show_life()
        except AmeliaError as error:
            self.state = "lost"
            log.error("the facts were refused: %s", error)
        finally:
            self._announcer.rest()
