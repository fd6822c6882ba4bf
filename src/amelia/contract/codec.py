"""Bytes to messages and back: the one place where untyped JSON is looked at."""

from typing import Any, get_args

import msgspec

from ..errors import Malformed
from .commands import AnyCommand
from .envelope import Command, Event
from .events import AnyEvent, UnknownEvent

_event: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_command: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_encode = msgspec.json.Encoder().encode

KNOWN_EVENTS = frozenset(str(t.__struct_config__.tag) for t in get_args(AnyEvent))


def encode(message: Command | Event) -> bytes:
    return _encode(message)


def type_of(message: Command | Event) -> str:
    if isinstance(message, UnknownEvent):
        return message.of_type
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def decode_command(body: bytes | str) -> AnyCommand:
    """Raises ``Malformed`` when the body is not one of our commands."""
    try:
        return _command.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not a command: {error}") from error


def decode_event(body: bytes | str) -> AnyEvent | UnknownEvent:
    """Raises ``Malformed`` when the body is not an event. A type this version does not know is ``UnknownEvent``."""
    try:
        return _event.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        fields = decode_object(body)
        kind = fields.get("type")
        if not isinstance(kind, str) or kind in KNOWN_EVENTS:
            raise Malformed(f"not an event: {error}") from error
    try:
        return msgspec.convert({**fields, "type": "unknown_event", "of_type": kind}, UnknownEvent)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an event, though of the unknown type {kind!r}: {error}") from error


def decode_object(body: bytes | str) -> dict[str, Any]:
    """A JSON object, for what must be looked at before it is trusted. Raises ``Malformed``."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"not a JSON object but {type(value).__name__}")
    return value
