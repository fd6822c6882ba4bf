"""One batch of messages: decode, verify who said it, append, settle."""

import logging
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from amelia.consumer import DONE, Verdict
from amelia.contract import codec, signature
from amelia.contract.events import ControlFact
from amelia.domain.effects import Arrived
from amelia.errors import Malformed, Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Journal
from amelia.ports.queues import Keys, Message

log = logging.getLogger(__name__)

_NOT_A_RUNTIMES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ControlFact)) | {
    *("event", "caught_up", "ping", "unknown_event"),
}
"""The control plane's own, and what a stream says besides events."""
_SIGNED_TOO_EARLY = 10
"""Receives after which an event whose key is still not known here is given up. A key may be some seconds older here
than where it was made; one that was looked for in vain is not waited for."""
_encode = msgspec.json.Encoder().encode


class Router:
    """``instance`` tells this process's reading of the queue from that of others."""

    def __init__(self, journal: Journal, keys: Keys, *, instance: str = "") -> None:
        self._journal = journal
        self._keys = keys
        self._instance = instance

    async def handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        """Every message is appended, or becomes a dead letter with the reason. Raises ``Unavailable``."""
        masters, looked = await self._keys.all(), True
        if any(_is_strange(message, masters) for message in messages):
            looked = await self._keys.refresh()
            masters = await self._keys.all()
        verdicts: list[Verdict] = [DONE] * len(messages)
        arrived: list[tuple[int, Arrived]] = []
        for index, message in enumerate(messages):
            try:
                arrived.append((index, read(message.body, masters)))
            except NotSigned as error:
                patient = not looked and message.receives < _SIGNED_TOO_EARLY
                verdicts[index] = Verdict("again" if patient else "dead", str(error))
            except Malformed as error:
                verdicts[index] = Verdict("dead", str(error))
        answers = await self._journal.append([one for _, one in arrived])
        reach("appended")
        for (index, _), refusal in zip(arrived, answers, strict=True):
            if refusal is not None:
                verdicts[index] = Verdict("dead", f"{type(refusal).__name__}: {refusal}")
        return verdicts

    async def drained(self, seconds_ago: float) -> None:
        await self._journal.drained("router", seconds_ago, self._instance)

    async def leave(self) -> None:
        """This process reads no more, and nobody waits for its word."""
        try:
            await self._journal.leave("router", self._instance)
        except Unavailable as error:
            log.warning("cannot say that this router ends: %s", error)


class NotSigned(Malformed):
    """By no key that is known here; a newer one may be."""


def _is_strange(message: Message, masters: Sequence[bytes]) -> bool:
    try:
        read(message.body, masters)
    except NotSigned:
        return True
    except Malformed:
        return False
    return False


def read(body: str, masters: Sequence[bytes]) -> Arrived:
    """The event inside EventBridge's envelope. Raises ``Malformed`` when it is not a runtime's own, signed event."""
    detail = _detail(codec.decode_object(body))
    kind, workflow_id, attempt = detail.get("type"), detail.get("workflow_id"), detail.get("attempt")
    if not isinstance(kind, str):
        raise Malformed("an event names its type; this one does not")
    if kind in _NOT_A_RUNTIMES:
        raise Malformed(f"a runtime may not say {kind}")
    if "sequence" in detail:
        raise Malformed(f"a runtime may not give a sequence, as this {kind} does: the journal numbers the stream")
    if not isinstance(workflow_id, str) or not isinstance(attempt, int):
        raise Malformed("an event names its workflow and its attempt; this one does not")
    keys = (signature.attempt_key(master, workflow_id, attempt) for master in masters)
    if not any(signature.verify(detail, key) for key in keys):
        raise NotSigned(f"the signature of {kind} for {workflow_id}, attempt {attempt}, is not that attempt's")
    encoded = _encode(detail)
    return Arrived(event=codec.decode_event(encoded), body=encoded.decode())


def _detail(outer: dict[str, Any]) -> dict[str, Any]:
    detail = outer.get("detail")
    if not isinstance(detail, dict):
        raise Malformed("not an EventBridge event: it has no detail")
    if outer.get("detail-type") != detail.get("type"):
        raise Malformed(f"its detail-type is {outer.get('detail-type')!r} but it says {detail.get('type')!r}")
    return detail
