"""OpenAI's Chat Completions API: ``POST /v1/chat/completions``."""

from collections.abc import Iterator, Mapping

from amelia.drivers.base import Usage
from amelia_replay.answer import Answer, Call, Frame, written
from amelia_replay.asked import Asked, check_results, label_in, next_turn
from amelia_replay.wire import Json, encoded, messages_of, sse

_STOPS = {"end": "stop", "tool_calls": "tool_calls", "max_tokens": "length"}
_KINDS = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    429: "rate_limit_exceeded",
}


class OpenAIWire:
    service = "openai"
    media_type = "text/event-stream; charset=utf-8"

    def asked(self, body: Json, headers: Mapping[str, str], path: str) -> Asked:
        choice = body.get("tool_choice")
        options = body.get("stream_options") or {}
        messages = messages_of(body)
        check_results([(_called(message), _answered(message)) for message in messages])
        return Asked(
            label=label_in(headers.get("x-client-request-id"), body.get("user")),
            model=str(body.get("model", "")),
            turn=next_turn(messages),
            tools=tuple(str((tool.get("function") or {}).get("name", "")) for tool in body.get("tools") or ()),
            must_call=(choice.get("function") or {}).get("name") if isinstance(choice, dict) else None,
            stream=bool(body.get("stream")),
            size=len(encoded(body)),
            wants_usage=bool(options.get("include_usage")),
        )

    def frames(self, answer: Answer, asked: Asked) -> Iterator[Frame]:
        yield _frame(asked, {"role": "assistant", "content": ""})
        number = -1
        for block in answer.blocks:
            if isinstance(block, Call):
                number += 1
                begun = {"id": block.id, "type": "function", "function": {"name": block.tool, "arguments": ""}}
                yield _frame(asked, {"tool_calls": [{"index": number, **begun}]})
            for piece in block.pieces:
                delta = (
                    {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
                    if isinstance(block, Call)
                    else {"content": piece}
                )
                yield _frame(asked, delta, characters=len(piece))
        yield _frame(asked, {}, finish=_STOPS[answer.stop])
        if asked.wants_usage:
            last = {**_completion(asked, "chat.completion.chunk"), "choices": [], "usage": _usage(answer.usage)}
            yield Frame(data=sse(last), closing=True)
        yield Frame(data=b"data: [DONE]\n\n", closing=True)

    def whole(self, answer: Answer, asked: Asked) -> Json:
        message: Json = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.tool, "arguments": written(call.arguments)},
                }
                for call in answer.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": _STOPS[answer.stop], "logprobs": None}
        return {**_completion(asked, "chat.completion"), "choices": [choice], "usage": _usage(answer.usage)}

    def refusal(self, status: int, message: str) -> tuple[Json, dict[str, str]]:
        return _error(status, message), {}

    def broken(self, status: int, message: str) -> bytes:
        return sse(_error(status, message))


def _called(message: Json) -> list[str]:
    return [str(call["id"]) for call in message.get("tool_calls") or ()]


def _answered(message: Json) -> list[str]:
    return [str(message["tool_call_id"])] if message["role"] == "tool" else []


def _frame(asked: Asked, delta: Json, *, characters: int = 0, finish: str | None = None) -> Frame:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    chunk = {**_completion(asked, "chat.completion.chunk"), "choices": [choice]}
    return Frame(data=sse(chunk), characters=characters, closing=finish is not None)


def _completion(asked: Asked, kind: str) -> Json:
    return {"id": f"chatcmpl-replay-{asked.turn}", "object": kind, "created": 0, "model": asked.model}


def _usage(usage: Usage) -> Json:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
    }


def _error(status: int, message: str) -> Json:
    kind = _KINDS.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}
