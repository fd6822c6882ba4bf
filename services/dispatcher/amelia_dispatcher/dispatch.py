"""One command from the queue: look at the row as it is now, and do what it asks for."""

import asyncio
import logging
from collections.abc import Sequence

from amelia.consumer import DONE, Verdict
from amelia.contract import codec
from amelia.contract.commands import AnyCommand, DeliverWorkflow
from amelia.domain.workflow import Workflow
from amelia.errors import Malformed, Unavailable
from amelia.ports.journal import Journal
from amelia.ports.queues import Message, Runtimes

from . import sessions
from .admission import Gatekeeper
from .attempt import Attempts
from .deliver import Deliveries

log = logging.getLogger(__name__)


_AT_ONCE = 16
"""Commands acted upon beside each other, each with a lock and so a connection; further ones wait in the queue."""
_DRAIN_SECONDS = 5.0


class Dispatcher:
    """Acknowledges a command as soon as it is understood and acts on it then: its outbox row is not settled before
    the outcome is recorded, so a command whose dispatcher dies, or whose work has to wait, is sent again."""

    def __init__(
        self,
        journal: Journal,
        runtimes: Runtimes,
        attempts: Attempts,
        gatekeeper: Gatekeeper,
        deliveries: Deliveries,
    ) -> None:
        self._journal = journal
        self._runtimes = runtimes
        self._attempts = attempts
        self._gatekeeper = gatekeeper
        self._deliveries = deliveries
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._acting: set[asyncio.Task[None]] = set()
        self._delivering: set[str] = set()

    async def handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        """Looks at all before it accepts one, so that what is given back when the journal is away was not begun."""
        verdicts = [await self._look(message) for message in messages]
        for message, verdict in zip(messages, verdicts, strict=True):
            if verdict is DONE:
                await self._begin(codec.decode_command(message.body))
        return verdicts

    async def drain(self) -> None:
        """Waits for what is being acted upon, though not for long: what does not end in time is sent again."""
        gatekeeping = asyncio.create_task(self._gatekeeper.drain())
        if self._acting:
            await asyncio.wait(self._acting, timeout=_DRAIN_SECONDS)
        for task in self._acting:
            task.cancel()
        await asyncio.gather(gatekeeping, *self._acting, return_exceptions=True)

    async def _look(self, message: Message) -> Verdict:
        try:
            command = codec.decode_command(message.body)
        except Malformed as error:
            return Verdict("dead", str(error))
        if await self._journal.get(command.workflow_id) is None:
            return Verdict("dead", f"there is no workflow {command.workflow_id}")
        return DONE

    async def _begin(self, command: AnyCommand) -> None:
        """Deliveries take as long as their remotes: they have turns of their own, and are never in another's way."""
        if isinstance(command, DeliverWorkflow):
            if command.workflow_id not in self._delivering:
                self._delivering.add(command.workflow_id)
                task = asyncio.create_task(self._act(command))
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)
                task.add_done_callback(lambda _: self._delivering.discard(command.workflow_id))
            return
        await self._room.acquire()
        task = asyncio.create_task(self._act(command))
        self._acting.add(task)
        task.add_done_callback(self._acted)

    def _acted(self, task: "asyncio.Task[None]") -> None:
        self._acting.discard(task)
        self._room.release()

    async def _act(self, command: AnyCommand) -> None:
        try:
            await self.act(command)
        except Unavailable as error:
            log.warning("command %s of %s has to wait: %s", command.id, command.workflow_id, error)
        except Exception:
            log.exception("command %s of %s failed; it is sent again", command.id, command.workflow_id)

    async def act(self, command: AnyCommand) -> None:
        """Raises ``Unavailable`` when it must be tried again."""
        row = await self._journal.get(command.workflow_id)
        if row is None:
            return
        w = row.workflow
        if w.queued:
            self._gatekeeper.consider(w, command.id)
        elif w.status in ("pending", "approved"):
            await self._wait_or_go_on(w, command.id)
        elif isinstance(command, DeliverWorkflow) and w.status == "in_progress" and w.phase == "delivering":
            if await self._deliveries.deliver(w.id, command.id):
                await self._end(w.id)
                await self._journal.settle([command.id])
        elif w.open:
            await self._attempts.tell(w.id, command.id)
        else:
            await self._deliveries.take_back(w)
            await self._end(w.id)
            await self._journal.settle([command.id])

    async def _wait_or_go_on(self, w: Workflow, command_id: str) -> None:
        """It has its place, or is parked until a moment that the sweeper knows."""
        if w.admitted:
            await self._attempts.start(w.id, command_id)
            return
        await self._end(w.id)
        await self._journal.settle([command_id])

    async def _end(self, workflow_id: str) -> None:
        """It has given its place back, or soon does; nothing of it runs."""
        self._gatekeeper.look()
        await sessions.stop(self._journal, self._runtimes, workflow_id)
