"""OpenAI's Chat Completions API, which many other services and local servers speak too."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from amelia.drivers.arguments import write_arguments
from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Message, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.connections import CONNECT_SECONDS, SILENCE_SECONDS, is_loopback
from amelia.drivers.guesses import guessed, plain_id
from amelia.drivers.retries import Interrupted, Patience, asked_pause, retried
from amelia.errors import Refused

BASE_URL = "https://api.openai.com/v1"
_PROSE = -1
_DISPENSABLE = ("reasoning_effort", "max_completion_tokens", "stream_options", "tool_choice")


class OpenAIDriver:
    """The label goes into the ``X-Client-Request-Id`` header, since OpenAI takes at most 64 characters as ``user``;
    that field names the workflow. Models that take tools here only without reasoning are asked for that. Other
    services that speak the protocol know less of it: what one refuses by name is said in another way, or left out.
    """

    name = "api:openai"

    def __init__(self, *, api_key: str, base_url: str | None = None, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._refused: set[tuple[str, str]] = set()
        address = base_url or BASE_URL
        self._original = urlsplit(address).hostname == urlsplit(BASE_URL).hostname
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
        return retried("OpenAI", lambda assembly: self._attempt(request, assembly), self._patience)

    async def aclose(self) -> None:
        await self._client.close()

    async def _attempt(self, request: Request, assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
        try:
            async with await self._open(request) as chunks:
                async for chunk in chunks:
                    delta = _take(chunk, assembly)
                    if delta is not None:
                        yield TextDelta(delta)
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            raise Interrupted(f"the connection failed: {error or type(error).__name__}") from error
        except openai.APIError as error:
            raise _meaning(error) from error
        if assembly.stop and assembly.usage == Usage():
            assembly.usage = guessed(request, assembly)

    async def _open(self, request: Request) -> Any:
        while True:
            try:
                return await self._client.chat.completions.create(**self._body(request))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                said, model = _said(error), request.model
                new = (word for word in _DISPENSABLE if word in said and (model, word) not in self._refused)
                refused = next(new, None)
                if refused is None or (refused == "tool_choice" and not request.must_call):
                    raise
                self._refused.add((model, refused))

    def _takes(self, request: Request, word: str) -> bool:
        return (request.model, word) not in self._refused

    def _body(self, request: Request) -> dict[str, Any]:
        longest = "max_completion_tokens" if self._takes(request, "max_completion_tokens") else "max_tokens"
        forced = request.must_call if self._takes(request, "tool_choice") else None
        body: dict[str, Any] = {
            "model": request.model,
            longest: request.max_tokens,
            "messages": _messages(request, asked=request.must_call if not forced else None),
            "extra_headers": {"X-Client-Request-Id": request.label.encode()},
            "stream": True,
        }
        if self._takes(request, "stream_options"):
            body["stream_options"] = {"include_usage": True}
        if self._original:
            label = request.label
            body["user"] = label.workflow_id[:64]
            body["prompt_cache_key"] = f"{label.workflow_id[:45]}:{label.agent[:16]}"
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
        if forced:
            body["tool_choice"] = {"type": "function", "function": {"name": forced}}
        if not self._takes(request, "reasoning_effort"):
            body["reasoning_effort"] = "none"
        return body


def _messages(request: Request, asked: str | None) -> list[dict[str, Any]]:
    """``asked`` is the tool that is to be called where a service cannot be told so in a field."""
    encoded: list[dict[str, Any]] = []
    system = request.system + (f"\n\nAnswer by calling the tool {asked}, not in prose." if asked else "")
    if system.strip():
        encoded.append({"role": "system", "content": system})
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
            "tool_call_id": plain_id(part.call_id),
            "content": f"Error: {part.content}" if part.is_error else part.content,
        }
        for part in message.parts
        if isinstance(part, ToolResult)
    ]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": write_arguments(call.arguments)}
    return {"id": plain_id(call.id), "type": "function", "function": function}


def _take(chunk: Any, assembly: Assembly) -> str | None:
    """Reads one chunk of the stream; returns the text it brought, "" for what else shows that the model is at it.

    Not every service counts its calls, and some say a call's id and name with each piece of it."""
    if chunk.usage is not None:
        assembly.usage = _usage(chunk.usage)
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    if choice.finish_reason:
        assembly.stop = "max_tokens" if choice.finish_reason == "length" else "end"
    if choice.delta is None:
        return None
    for piece in choice.delta.tool_calls or ():
        index, function = piece.index or 0, piece.function
        if piece.id or (function is not None and function.name):
            assembly.call(index, piece.id or "", (function.name if function else "") or "")
        if function is not None and function.arguments:
            assembly.arguments(index, function.arguments)
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


def _said(error: openai.APIStatusError) -> str:
    """The SDK finds a message only in errors of OpenAI's own shape."""
    bare = error.message == f"Error code: {error.status_code}"
    return f"{error.status_code}: {error.response.text[:1_000]}" if bare else error.message


def _meaning(error: openai.APIError) -> Exception:
    """An error that comes inside a stream has no status; it is taken for a passing one."""
    if not isinstance(error, openai.APIStatusError):
        return Interrupted(error.message)
    said = _said(error)
    if error.code == "insufficient_quota":
        return Refused(f"OpenAI refused the request ({said}); add credit to the account of OPENAI_API_KEY")
    if error.status_code in (408, 409, 429) or error.status_code >= 500:
        return Interrupted(f"{error.status_code}: {said}", asked_pause(error.response.headers))
    if error.status_code in (401, 403):
        return Refused(f"OpenAI refused the key ({said}); set OPENAI_API_KEY to one that may use the model")
    return Refused(f"OpenAI refused the request ({said}); change the model or the request")
