"""A message that was given up, as it is kept: whatever is in it."""

import hashlib
from typing import Any

import msgspec

from ..contract import codec
from ..contract.ids import derive_id
from ..errors import Malformed

_LONGEST_CAUSE = 2_000
_LONGEST_NAME = 200


class Grave(msgspec.Struct, frozen=True, kw_only=True):
    """``body`` can be stored and sent when it is ``intact``; characters that cannot be are escaped otherwise."""

    id: str
    source: str
    message_id: str
    workflow_id: str
    type: str
    cause: str
    receives: int
    body: str
    intact: bool
    sender: str = ""


def letter_id(source: str, sender: str, body: str) -> str:
    """Named by the body, so that the same message is the same dead letter, however often it is given up. An order of
    CI's is another one when another sends it: whose workflow it begins is its sender's, and nobody can put himself in
    the place of whoever sent what waits."""
    sender = _storable(sender)
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
    return derive_id(f"dead-letter/{source}", f"{sender}/{digest}" if source == "ci" and sender else digest)


def grave(source: str, queue_id: str, body: str, cause: str, receives: int, sender: str = "") -> Grave:
    kept = _storable(body)
    said = _said(body)
    return Grave(
        id=letter_id(source, sender, body),
        source=source,
        message_id=_name(said.get("id")) or queue_id,
        workflow_id=_name(said.get("workflow_id")),
        type=_name(said.get("type")),
        cause=_storable(cause)[:_LONGEST_CAUSE] or "no cause was given",
        receives=receives,
        body=kept,
        intact=kept == body,
        sender=_storable(sender),
    )


def _said(body: str) -> dict[str, Any]:
    """What can be read of it: a command, or an event in the bus's envelope."""
    try:
        outer = codec.decode_object(body)
    except Malformed:
        return {}
    detail = outer.get("detail")
    return detail if isinstance(detail, dict) else outer


def _name(value: object) -> str:
    return _storable(value)[:_LONGEST_NAME] if isinstance(value, str) else ""


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
