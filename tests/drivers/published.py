"""Whether a request is one of the service, by what the service's SDK publishes: nothing unknown, nothing missing."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError


def objections(path: str, body: dict[str, Any]) -> list[str]:
    """``path`` tells which service was asked."""
    if path.startswith("/model/"):
        model = unquote(path.removeprefix("/model/").rpartition("/")[0])
        return list(_of_bedrock({"modelId": model, **body}))
    return list(_of_types(_typed("anthropic" if path.endswith("/messages") else "openai"), body))


@cache
def _typed(service: str) -> TypeAdapter[Any]:
    if service == "anthropic":
        from anthropic.types.message_create_params import MessageCreateParamsStreaming

        return TypeAdapter(MessageCreateParamsStreaming)
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    return TypeAdapter(CompletionCreateParamsStreaming)


def _of_types(typed: TypeAdapter[Any], body: dict[str, Any]) -> Iterator[str]:
    """The types let unknown keys pass by dropping them, and look into lists only when they are read."""
    try:
        kept = _read(typed.validate_python(body, strict=True))
    except ValidationError as error:
        yield from (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return
    yield from _lost(body, kept, "")


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _read(inner) for key, inner in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [_read(inner) for inner in value]


def _lost(sent: Any, kept: Any, where: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key, inner in sent.items():
            if key not in kept:
                yield f"{where}.{key}: the service knows no such field"
            else:
                yield from _lost(inner, kept[key], f"{where}.{key}")
    elif isinstance(sent, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(zip(sent, kept, strict=True)):
            yield from _lost(one, other, f"{where}[{number}]")
    elif sent != kept:
        yield f"{where}: {sent!r} is read as {kept!r}"


@cache
def _bedrock() -> Any:
    import botocore.session

    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    return service.operation_model("ConverseStream").input_shape


def _of_bedrock(asked: dict[str, Any]) -> Iterator[str]:
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(asked, _bedrock())
    if report.has_errors():
        yield report.generate_report()
        return
    yield from _beyond(_bedrock(), asked, "")


def _beyond(shape: Any, value: Any, where: str) -> Iterator[str]:
    """What the model of the service says, and its SDK leaves to the service: patterns, lengths, enumerations."""
    if shape.type_name == "structure" and not shape.metadata.get("document"):
        for name, inner in value.items():
            yield from _beyond(shape.members[name], inner, f"{where}.{name}")
    elif shape.type_name == "list":
        for number, inner in enumerate(value):
            yield from _beyond(shape.member, inner, f"{where}[{number}]")
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from _beyond(shape.key, key, f"{where}({key})")
            yield from _beyond(shape.value, inner, f"{where}.{key}")
    elif shape.type_name == "string":
        known = shape.metadata
        if not re.fullmatch(known.get("pattern", r"[\s\S]*"), value):
            yield f"{where}: {value!r} does not match {known['pattern']}"
        if len(value) > known.get("max", len(value)) or value not in known.get("enum", [value]):
            yield f"{where}: {value!r} is too long, or none of {known.get('enum')}"
