"""What a model wrote as a tool call's arguments, read without trusting it."""

import msgspec

from amelia.drivers.base import JsonObject

MALFORMED = "_malformed"
"""The one key of arguments that were no JSON object; its value is the model's text, to be told to the model."""


def read_arguments(text: str) -> JsonObject:
    """Empty text is a call without arguments."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=JsonObject)
    except (msgspec.DecodeError, RecursionError):
        return {MALFORMED: text}


def malformed(arguments: JsonObject) -> str | None:
    """The model's text when ``read_arguments`` could not read it."""
    text = arguments.get(MALFORMED) if len(arguments) == 1 else None
    return text if isinstance(text, str) else None


def write_arguments(arguments: JsonObject) -> str:
    return msgspec.json.encode(arguments).decode()
