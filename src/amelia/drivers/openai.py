"""OpenAI's Chat Completions API, which many other services and local servers speak too."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import openai

from amelia.drivers.arguments import write_arguments
from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Message, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.connections import CONNECT_SECONDS, SILENCE_SECONDS, is_loopback
from amelia.drivers.retries import Interrupted, Patience, retried, seconds
from amelia.errors import Refused

BASE_URL = "https://api.openai.com/v1"
_PROSE = -1


class OpenAIDriver:
    """The label goes into the ``X-Client-Request-Id`` header, since OpenAI takes at most 64 characters as ``user``;
    that field names the workflow. Models that take tools here only without reasoning are asked for that."""

    name = "api:openai"

    def __init__(self, *, api_key: str, base_url: str | None = None, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._unreasoned: set[str] = set()
        address = base_url or BASE_URL
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=address,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=not is_loopback(address),
                timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            ),
        )

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        return retried("OpenAI", lambda: self._attempt(request), self._patience)

    async def aclose(self) -> None:
        await self._client.close()

    async def _attempt(self, request: Request) -> AsyncGenerator[TextDelta | Turn, None]:
        assembly = Assembly()
        try:
            async with await self._open(request) as chunks:
                async for chunk in chunks:
                    delta = _take(chunk, assembly)
                    if delta:
                        yield TextDelta(delta)
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            raise Interrupted(f"the connection failed: {error}") from error
        except openai.APIError as error:
            raise _meaning(error) from error
        if assembly.stop is None:
            raise Interrupted("the answer was cut off")
        yield assembly.turn()

    async def _open(self, request: Request) -> Any:
        try:
            return await self._client.chat.completions.create(**self._body(request))
        except openai.BadRequestError as error:
            if request.model in self._unreasoned or "reasoning_effort" not in str(error):
                raise
            self._unreasoned.add(request.model)
            return await self._client.chat.completions.create(**self._body(request))

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "max_completion_tokens": request.max_tokens,
            "messages": _messages(request),
            "user": request.label.workflow_id[:64],
            "extra_headers": {"X-Client-Request-Id": request.label.encode()},
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in request.tools
            ]
        if request.must_call:
            body["tool_choice"] = {"type": "function", "function": {"name": request.must_call}}
        if request.model in self._unreasoned:
            body["reasoning_effort"] = "none"
        return body


def _messages(request: Request) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = []
    if request.system.strip():
        encoded.append({"role": "system", "content": request.system})
    for message in request.messages:
        encoded.extend(_results(message))
        text = "".join(part.text for part in message.parts if isinstance(part, Text))
        calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            encoded.append({"role": message.role, "content": text or None, "tool_calls": calls})
        elif text or not any(isinstance(part, ToolResult) for part in message.parts):
            encoded.append({"role": message.role, "content": text})
    return encoded


def _results(message: Message) -> list[dict[str, Any]]:
    """A result has no field for failure here, so a failed one says so itself."""
    return [
        {
            "role": "tool",
            "tool_call_id": part.call_id,
            "content": f"Error: {part.content}" if part.is_error else part.content,
        }
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": write_arguments(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _take(chunk: Any, assembly: Assembly) -> str:
    """Reads one chunk of the stream; returns the text it brought."""
    if chunk.usage is not None:
        assembly.usage = _usage(chunk.usage)
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    for piece in choice.delta.tool_calls or ():
        if piece.id:
            assembly.call(piece.index, piece.id, piece.function.name or "")
        if piece.function is not None and piece.function.arguments:
            assembly.arguments(piece.index, piece.function.arguments)
    if choice.finish_reason:
        assembly.stop = "max_tokens" if choice.finish_reason == "length" else "end"
    text = choice.delta.content or choice.delta.refusal or ""
    if text:
        assembly.text(_PROSE, text)
    return str(text)


def _usage(told: Any) -> Usage:
    """Here the prompt's count includes what the cache read and wrote."""
    details = told.prompt_tokens_details
    read = (details.cached_tokens if details else 0) or 0
    written = (details.cache_write_tokens if details else 0) or 0
    return Usage(
        input_tokens=max(told.prompt_tokens - read - written, 0),
        output_tokens=told.completion_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def _meaning(error: openai.APIError) -> Exception:
    """An error that comes inside a stream has no status; it is taken for a passing one."""
    if not isinstance(error, openai.APIStatusError):
        return Interrupted(error.message)
    if error.code == "insufficient_quota":
        return Refused(f"OpenAI refused the request ({error.message}); add credit to the account of OPENAI_API_KEY")
    if error.status_code in (408, 409, 429) or error.status_code >= 500:
        retry_after = seconds(error.response.headers.get("retry-after"))
        return Interrupted(f"{error.status_code}: {error.message}", retry_after)
    if error.status_code in (401, 403):
        return Refused(f"OpenAI refused the key ({error.message}); set OPENAI_API_KEY to one that is valid")
    return Refused(f"OpenAI refused the request ({error.message}); change the model or the request")
