"""Who said it: HMAC-SHA256 over the sorted, float-free encoding, because a bus may rewrite the bytes.

The key is one attempt's own: derived from a versioned master secret, so that no runtime can speak for another.
"""

import hashlib
import hmac
from typing import Any, TypeVar

import msgspec

from ..errors import Malformed
from .envelope import Event

E = TypeVar("E", bound=Event)

_sorted = msgspec.json.Encoder(order="sorted").encode


def attempt_key(master: bytes, workflow_id: str, epoch: int) -> bytes:
    """32 bytes; the same for the same three inputs."""
    return hmac.digest(master, f"amelia/attempt/{workflow_id}/{epoch}".encode(), hashlib.sha256)


def sign(event: E, key: bytes) -> E:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.structs.replace(event, signature=_digest(fields, key))


def verify(fields: dict[str, Any], key: bytes) -> bool:
    """Takes the decoded JSON object as it arrived, so that fields this version does not know are covered too."""
    claimed = fields.get("signature")
    if not isinstance(claimed, str):
        return False
    return hmac.compare_digest(claimed.encode(), _digest(fields, key).encode())


def _digest(fields: dict[str, Any], key: bytes) -> str:
    unsigned = {name: value for name, value in fields.items() if name != "signature"}
    try:
        _refuse_floats(unsigned)
        return hmac.digest(key, _sorted(unsigned), hashlib.sha256).hex()
    except RecursionError as error:
        raise Malformed("a signed message is not nested that deep") from error


def _refuse_floats(value: object) -> None:
    match value:
        case float():
            raise Malformed("a signed message has no floating-point numbers")
        case dict():
            for item in value.values():
                _refuse_floats(item)
        case list() | tuple():
            for item in value:
                _refuse_floats(item)
