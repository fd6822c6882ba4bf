"""JSON Schema of a msgspec type, in the plain form that model services take."""

from typing import Any

import msgspec

from ..drivers.base import JsonObject


def parameters(kind: type[msgspec.Struct]) -> JsonObject:
    """One object without references. A recursive type is not possible."""
    (schema,), definitions = msgspec.json.schema_components([kind])
    return _inline(schema, definitions)  # type: ignore[no-any-return]


def _inline(value: Any, definitions: dict[str, Any]) -> Any:
    match value:
        case {"$ref": str(name)}:
            return _inline(definitions[name.rsplit("/", 1)[-1]], definitions)
        case dict():
            return {
                key: _inline(item, definitions)
                for key, item in value.items()
                if key != "title" or isinstance(item, dict)
            }
        case list() | tuple():
            return [_inline(item, definitions) for item in value]
        case _:
            return value
