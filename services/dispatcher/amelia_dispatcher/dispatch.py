"""One command from the queue: look at the row as it is now, and do what it asks for."""

import asyncio
import logging
from collections.abc import Sequence

from amelia.consumer import DONE, Verdict
from amelia.contract import codec
from amelia.contract.commands import AnyCommand
from amelia.errors import Malformed, Unavailable
from amelia.ports.journal import Journal
from amelia.ports.queues import Message, Runtimes

from . import sessions
from .attempt import Attempts
from .deliver import Deliveries

log = logging.getLogger(__name__)


class Dispatcher:
    def __init__(self, journal: Journal, runtimes: Runtimes, attempts: Attempts, deliveries: Deliveries) -> None:
        self._journal = journal
        self._runtimes = runtimes
        self._attempts = attempts
        self._deliveries = deliveries

    async def handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        """Workflows beside each other, the commands of one in their order."""
        groups: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            groups.setdefault(message.group or message.id, []).append(index)
        verdicts: list[Verdict] = [DONE] * len(messages)

        async def in_order(indices: Sequence[int]) -> None:
            for index in indices:
                verdicts[index] = await self._one(messages[index])

        await asyncio.gather(*(in_order(indices) for indices in groups.values()))
        return verdicts

    async def _one(self, message: Message) -> Verdict:
        """A command whose work could not be done now is acknowledged all the same: its outbox row is not settled,
        so the relay sends it again."""
        try:
            command = codec.decode_command(message.body)
            await self.act(command)
        except Malformed as error:
            return Verdict("dead", str(error))
        except Unavailable as error:
            log.warning("command %s has to wait: %s", message.id, error)
        return DONE

    async def act(self, command: AnyCommand) -> None:
        """Raises ``Malformed`` for a workflow that does not exist, ``Unavailable`` when it must be tried again."""
        row = await self._journal.get(command.workflow_id)
        if row is None:
            raise Malformed(f"there is no workflow {command.workflow_id}")
        w = row.workflow
        if w.status in ("pending", "approved"):
            await self._attempts.start(w.id, command.id)
        elif w.status == "in_progress" and w.phase == "delivering":
            await self._deliveries.deliver(w.id, command.id)
            await sessions.stop(self._journal, self._runtimes, w.id)
        else:
            await sessions.stop(self._journal, self._runtimes, w.id)
            await self._journal.settle([command.id])
