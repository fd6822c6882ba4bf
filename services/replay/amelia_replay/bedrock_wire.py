"""Amazon Bedrock's Converse API: ``POST /model/{modelId}/converse`` and ``/converse-stream``."""

from collections.abc import Iterator, Mapping
from typing import Any

from amelia.drivers.base import Usage
from amelia_replay import eventstream
from amelia_replay.answer import Answer, Call, Frame
from amelia_replay.asked import Asked, check_results, label_in, next_turn
from amelia_replay.wire import Json, encoded, messages_of

_STOPS = {"end": "end_turn", "tool_calls": "tool_use", "max_tokens": "max_tokens"}
_WRITTEN = str.maketrans("$,@", "%&~")
_KINDS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}


class BedrockWire:
    service = "bedrock"
    media_type = "application/vnd.amazon.eventstream"

    def asked(self, body: Json, headers: Mapping[str, str], path: str) -> Asked:
        """A label is written with ``$ , @`` for ``% & ~``, which Bedrock does not take in metadata."""
        config = body.get("toolConfig") or {}
        metadata = (body.get("requestMetadata") or {}).get("amelia", "")
        messages = messages_of(body)
        check_results([(_ids(message, "toolUse"), _ids(message, "toolResult")) for message in messages])
        model, _, verb = path.removeprefix("/model/").rpartition("/")
        return Asked(
            label=label_in(str(metadata).translate(_WRITTEN)),
            model=model,
            turn=next_turn(messages),
            tools=tuple(
                str((tool.get("toolSpec") or {}).get("name", ""))
                for tool in config.get("tools") or ()
                if "toolSpec" in tool
            ),
            must_call=((config.get("toolChoice") or {}).get("tool") or {}).get("name"),
            stream=verb == "converse-stream",
            size=len(encoded(body)),
        )

    def frames(self, answer: Answer, asked: Asked) -> Iterator[Frame]:
        yield _frame("messageStart", {"role": "assistant"})
        for index, block in enumerate(answer.blocks):
            place = {"contentBlockIndex": index}
            if isinstance(block, Call):
                start = {"toolUse": {"toolUseId": block.id, "name": block.tool}}
                yield _frame("contentBlockStart", {"start": start, **place})
            for piece in block.pieces:
                delta = {"toolUse": {"input": piece}} if isinstance(block, Call) else {"text": piece}
                yield _frame("contentBlockDelta", {"delta": delta, **place}, characters=len(piece))
            yield _frame("contentBlockStop", place)
        yield _frame("messageStop", {"stopReason": _STOPS[answer.stop]}, closing=True)
        ending = {"usage": _usage(answer.usage), "metrics": {"latencyMs": 0}}
        yield _frame("metadata", ending, closing=True)

    def whole(self, answer: Answer, asked: Asked) -> Json:
        content = [
            {"toolUse": {"toolUseId": block.id, "name": block.tool, "input": block.arguments}}
            if isinstance(block, Call)
            else {"text": "".join(block.pieces)}
            for block in answer.blocks
        ]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _STOPS[answer.stop],
            "usage": _usage(answer.usage),
            "metrics": {"latencyMs": 0},
        }

    def refusal(self, status: int, message: str) -> tuple[Json, dict[str, str]]:
        return {"message": message}, {"x-amzn-errortype": _kind(status)}

    def broken(self, status: int, message: str) -> bytes:
        kind = _kind(status)
        return eventstream.exception(kind[0].lower() + kind[1:], encoded({"message": message}))


def _ids(message: Json, kind: str) -> list[str]:
    return [str(block[kind]["toolUseId"]) for block in message["content"] if kind in block]


def _kind(status: int) -> str:
    return _KINDS.get(status, "InternalServerException" if status >= 500 else "ValidationException")


def _frame(kind: str, payload: Any, *, characters: int = 0, closing: bool = False) -> Frame:
    return Frame(data=eventstream.event(kind, encoded(payload)), characters=characters, closing=closing)


def _usage(usage: Usage) -> Json:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": prompt + usage.output_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }
