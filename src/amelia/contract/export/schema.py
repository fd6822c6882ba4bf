"""JSON Schema (2020-12) from the msgspec types."""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

import msgspec

from ..envelope import Command, Event

JsonObject = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SHARED = {
    "id": "A UUID. The same id a second time is the same message.",
    "type": "What kind of message this is.",
    "workflow_id": "The workflow it belongs to: `wf-` and a UUID. Also the FIFO group of a command.",
    "version": "Of this type's meaning. Fields are added without a new version; a changed meaning is a new type.",
    "timestamp": "When it was said: UTC, ISO 8601, milliseconds, `Z`.",
    "correlation_id": "The same on everything that follows from one request.",
    "traceparent": "W3C Trace Context of the request it follows from.",
}
_OF_COMMANDS = _SHARED | {"actor": "Who gave the order: a person, or `amelia` for the control plane itself."}
_OF_EVENTS = _SHARED | {
    "attempt": "The lease it was said under, from 1. 0 or left out: said by the control plane under none.",
    "fact": "A runtime's facts, counted 1, 2, 3 … over all attempts of the workflow. Admitted in this order.",
    "ordinal": "A runtime's progress, counted 1, 2, 3 … within its attempt.",
    "last_fact": "The highest fact said before this: progress is folded behind it, and a lost fact shows.",
    "causation_id": "The id of the command or event it follows from.",
    "signature": "HMAC-SHA256, hexadecimal, over the sorted JSON without this field, under the attempt's own key.",
}


def schema_of(kind: Any) -> JsonObject:
    """A document that stands alone: what the type refers to is in its ``$defs``.

    Docstrings become descriptions; the fields of the envelope have theirs from here.
    """
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    reference = root.pop("$ref", "")
    if reference:
        root |= parts.pop(reference.rpartition("/")[2])
    document = described(root | ({"$defs": dict(sorted(parts.items()))} if parts else {}))
    if isinstance(kind, type) and issubclass(kind, Command | Event):
        _explain(document, _OF_COMMANDS if issubclass(kind, Command) else _OF_EVENTS)
        document.setdefault("description", _sentence(kind.__struct_config__.tag))
    return {"$schema": DIALECT, **document}


def closed(schema: JsonObject) -> JsonObject:
    """With no other keys than those named, for documents whose reader refuses what it does not know."""
    parts = {name: closed(part) for name, part in schema.get("$defs", {}).items()}
    shut = {"additionalProperties": False} if "properties" in schema else {}
    return {**schema, **shut, **({"$defs": parts} if parts else {})}


def described(value: Any) -> Any:
    """The document with its descriptions as plain text."""
    match value:
        case {"description": str(text), **rest}:
            return {**described(rest), "description": plain(text)}
        case dict():
            return {key: described(item) for key, item in value.items()}
        case list():
            return [described(item) for item in value]
    return value


def plain(docstring: str) -> str:
    """Paragraphs on one line each; code between single backticks, as in Markdown."""
    paragraphs = cleandoc(docstring).replace("``", "`").split("\n\n")
    return "\n\n".join(re.sub(r"\s+", " ", paragraph) for paragraph in paragraphs)


def _explain(schema: JsonObject, notes: Mapping[str, str]) -> None:
    """The envelope first, then what is the type's own."""
    fields = schema.pop("properties")
    envelope = {name: {"description": note, **fields.pop(name)} for name, note in notes.items()}
    schema["properties"] = envelope | fields


def _sentence(tag: object) -> str:
    return f"{str(tag).replace('_', ' ').capitalize()}."
