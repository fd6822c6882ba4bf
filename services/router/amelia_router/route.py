"""One batch of messages: decode, verify who said it, append, settle."""

import logging
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from amelia.consumer import DONE, Verdict
from amelia.contract import codec, signature
from amelia.contract.events import ControlFact
from amelia.domain.effects import Arrived
from amelia.errors import Malformed
from amelia.failpoints import reach
from amelia.ports.journal import Journal
from amelia.ports.queues import Keys, Message

log = logging.getLogger(__name__)

_NOT_A_RUNTIMES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(ControlFact)) | {
    *("workflow_admitted", "workflow_revised", "workflow_paused", "workflow_resumed", "workflow_retried"),
    *("approval_vote", "approval_reminder", "approval_deadline_passed", "budget_changed", "pull_request_opened"),
    *("event", "caught_up", "ping", "unknown_event"),
}
"""The control plane's own, those it will have, and what a stream says besides events."""
_encode = msgspec.json.Encoder().encode


class Router:
    def __init__(self, journal: Journal, keys: Keys) -> None:
        self._journal = journal
        self._keys = keys

    async def handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        """Every message is appended, or becomes a dead letter with the reason. Raises ``Unavailable``."""
        masters = await self._keys.all()
        if any(_is_strange(message, masters) for message in messages) and await self._keys.refresh():
            masters = await self._keys.all()
        verdicts: list[Verdict] = [DONE] * len(messages)
        arrived: list[tuple[int, Arrived]] = []
        for index, message in enumerate(messages):
            try:
                arrived.append((index, read(message.body, masters)))
            except Malformed as error:
                verdicts[index] = Verdict("dead", str(error))
        answers = await self._journal.append([one for _, one in arrived])
        reach("appended")
        for (index, _), refusal in zip(arrived, answers, strict=True):
            if refusal is not None:
                verdicts[index] = Verdict("dead", f"{type(refusal).__name__}: {refusal}")
        return verdicts

    async def drained(self, seconds_ago: float) -> None:
        await self._journal.drained("router", seconds_ago)


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
