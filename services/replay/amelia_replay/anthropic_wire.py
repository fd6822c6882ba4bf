"""Anthropic's Messages API: ``POST /v1/messages``."""

from collections.abc import Iterator, Mapping

from amelia.drivers.base import Usage
from amelia_replay.answer import Answer, Call, Frame
from amelia_replay.asked import Asked, check_results, label_in, next_turn
from amelia_replay.wire import Json, encoded, messages_of, sse

_STOPS = {"end": "end_turn", "tool_calls": "tool_use", "max_tokens": "max_tokens"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicWire:
    service = "anthropic"
    media_type = "text/event-stream; charset=utf-8"

    def asked(self, body: Json, headers: Mapping[str, str], path: str) -> Asked:
        choice = body.get("tool_choice") or {}
        messages = messages_of(body)
        check_results(
            [(_ids(message, "tool_use", "id"), _ids(message, "tool_result", "tool_use_id")) for message in messages]
        )
        return Asked(
            label=label_in((body.get("metadata") or {}).get("user_id")),
            model=str(body.get("model", "")),
            turn=next_turn(messages),
            tools=tuple(str(tool.get("name", "")) for tool in body.get("tools") or ()),
            must_call=choice.get("name") if choice.get("type") == "tool" else None,
            stream=bool(body.get("stream")),
            size=len(encoded(body)),
        )

    def frames(self, answer: Answer, asked: Asked) -> Iterator[Frame]:
        opening = {**_message(asked), "content": [], "usage": {**_usage(answer.usage), "output_tokens": 1}}
        yield _frame("message_start", {"message": opening})
        yield _frame("ping", {})
        for index, block in enumerate(answer.blocks):
            start = _call(block, {}) if isinstance(block, Call) else {"type": "text", "text": ""}
            yield _frame("content_block_start", {"index": index, "content_block": start})
            for piece in block.pieces:
                delta = (
                    {"type": "input_json_delta", "partial_json": piece}
                    if isinstance(block, Call)
                    else {"type": "text_delta", "text": piece}
                )
                yield _frame("content_block_delta", {"index": index, "delta": delta}, characters=len(piece))
            yield _frame("content_block_stop", {"index": index})
        ending = {"stop_reason": _STOPS[answer.stop], "stop_sequence": None}
        usage = _usage(answer.usage)
        yield _frame("message_delta", {"delta": ending, "usage": usage}, closing=True)
        yield _frame("message_stop", {}, closing=True)

    def whole(self, answer: Answer, asked: Asked) -> Json:
        content = [
            _call(block, block.arguments)
            if isinstance(block, Call)
            else {"type": "text", "text": "".join(block.pieces)}
            for block in answer.blocks
        ]
        message = {**_message(asked), "content": content, "usage": _usage(answer.usage)}
        return {**message, "stop_reason": _STOPS[answer.stop]}

    def refusal(self, status: int, message: str) -> tuple[Json, dict[str, str]]:
        return _error(status, message), {}

    def broken(self, status: int, message: str) -> bytes:
        return sse(_error(status, message), "error")


def _ids(message: Json, kind: str, key: str) -> list[str]:
    content = message["content"]
    blocks = content if isinstance(content, list) else []
    return [str(block[key]) for block in blocks if block.get("type") == kind]


def _frame(event: str, rest: Json, *, characters: int = 0, closing: bool = False) -> Frame:
    return Frame(data=sse({"type": event, **rest}, event), characters=characters, closing=closing)


def _message(asked: Asked) -> Json:
    return {
        "id": f"msg_replay_{asked.turn}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _call(call: Call, arguments: Json | str) -> Json:
    return {"type": "tool_use", "id": call.id, "name": call.tool, "input": arguments}


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }


def _error(status: int, message: str) -> Json:
    return {"type": "error", "error": {"type": _KINDS.get(status, "api_error"), "message": message}}
