"""What consumers give up, and what queues do, is kept as dead letters in the journal."""

import asyncio
from collections.abc import Sequence

from .consumer import DONE, Bury, Consumer, Verdict
from .ports.journal import Burial, Journal, Source
from .ports.queues import Message, Queue
from .redaction import ours

_FOR_EVER = 10**9


def burying(journal: Journal, source: Source) -> Bury:
    """For a consumer of the queue ``source``."""

    async def bury(message: Message, reason: str) -> None:
        await journal.bury([_burial(source, message, reason)])

    return bury


class Collector:
    """Empties a queue's own dead-letter queue into the journal: what was received too often without being settled, and
    what the bus could not bring to its target. ``dead`` is that queue, to be received from; nothing leaves it before
    the journal has it."""

    def __init__(self, journal: Journal, dead: Queue, source: Source) -> None:
        self._journal = journal
        self._source = source
        self._consumer = Consumer(dead, self._handle, in_flight=1, max_receives=_FOR_EVER)

    async def run(self, stop: asyncio.Event) -> None:
        await self._consumer.run(stop)

    async def _handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        await self._journal.bury([_burial(self._source, message, cause_of(message)) for message in messages])
        return [DONE] * len(messages)


def cause_of(message: Message) -> str:
    """As whoever put it among the dead said: a consumer of ours, the bus, or else the queue, which says nothing."""
    said = message.attributes
    if reason := said.get("reason"):
        return reason
    if code := said.get("ERROR_CODE"):
        return f"the bus could not bring it to its queue: {code}: {said.get('ERROR_MESSAGE', '')}".rstrip(": ")
    return "it was received too often without being settled"


def _burial(source: Source, message: Message, cause: str) -> Burial:
    """A body with secrets is kept without them; sent again, a signed one is refused as altered."""
    secrets = ours()
    return Burial(
        source=source,
        queue_id=message.id,
        body=secrets.text(message.body),
        sender=message.sender,
        cause=secrets.text(cause),
        receives=message.receives,
    )
