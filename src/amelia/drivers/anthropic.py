"""Anthropic's Messages API."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anthropic
import httpx2

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Message, Part, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.connections import CONNECT_SECONDS, SILENCE_SECONDS, is_loopback
from amelia.drivers.guesses import plain_id
from amelia.drivers.retries import Interrupted, Patience, asked_pause, retried
from amelia.errors import Refused

BASE_URL = "https://api.anthropic.com"
_CACHED = {"cache_control": {"type": "ephemeral"}}


class AnthropicDriver:
    """Models that refuse a forced tool (those that always think) are asked for it in words instead; a ``Turn``
    of theirs may come without the call."""

    name = "api:anthropic"

    def __init__(
        self,
        *,
        api_key: str = "",
        auth_token: str = "",
        base_url: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """One of ``api_key`` and ``auth_token``; the latter is what gateways take in its place."""
        self._patience = patience or Patience()
        self._unforced: set[str] = set()
        address = base_url or BASE_URL
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key or None,
            auth_token=auth_token or None,
            base_url=address,
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultAsyncHttpxClient(
                trust_env=not is_loopback(address),
                timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            ),
        )

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        return retried("Anthropic", lambda assembly: self._attempt(request, assembly), self._patience)

    async def aclose(self) -> None:
        await self._client.close()

    async def _attempt(self, request: Request, assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
        try:
            async with await self._open(request) as events:
                async for event in events:
                    delta = _take(event, assembly)
                    if delta is not None:
                        yield TextDelta(delta)
        except anthropic.APIStatusError as error:
            raise _meaning(error) from error
        except (anthropic.APIConnectionError, httpx2.TransportError) as error:
            raise Interrupted(f"the connection failed: {error or type(error).__name__}") from error

    async def _open(self, request: Request) -> Any:
        try:
            return await self._client.messages.create(**self._body(request))
        except anthropic.BadRequestError as error:
            if request.must_call is None or request.model in self._unforced or "tool_choice" not in str(error):
                raise
            self._unforced.add(request.model)
            return await self._client.messages.create(**self._body(request))

    def _body(self, request: Request) -> dict[str, Any]:
        """The system prompt's cache mark covers the tools, which come before it."""
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "messages": _messages(request.messages),
            "metadata": {"user_id": request.label.encode()},
            "stream": True,
        }
        system = request.system
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
                for tool in request.tools
            ]
        if request.must_call and request.model in self._unforced:
            system += f"\n\nAnswer by calling the tool {request.must_call}, not in prose."
        elif request.must_call:
            body["tool_choice"] = {"type": "tool", "name": request.must_call}
        if system.strip():
            body["system"] = [{"type": "text", "text": system, **_CACHED}]
        return body


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The newest message of the user is marked for the cache, and the one before: its mark is found again also when
    more blocks have come since than the service looks back (20)."""
    encoded: list[dict[str, Any]] = []
    for message in messages:
        results_first = sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))
        blocks = [_block(part) for part in results_first if not (isinstance(part, Text) and not part.text.strip())]
        encoded.append({"role": message.role, "content": blocks or [{"type": "text", "text": "(nothing)"}]})
    for asked in [each for each in encoded if each["role"] == "user"][-2:]:
        asked["content"][-1].update(_CACHED)
    return encoded


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case ToolCall():
            return {"type": "tool_use", "id": plain_id(part.id), "name": part.name, "input": part.arguments}
        case ToolResult():
            return {
                "type": "tool_result",
                "tool_use_id": plain_id(part.call_id),
                "content": part.content,
                "is_error": part.is_error,
            }


def _take(event: Any, assembly: Assembly) -> str | None:
    """Reads one event of the stream; returns the text it brought, "" for what else shows that the model is at it."""
    if event.type == "message_start":
        assembly.usage = _usage(event.message.usage, Usage())
    elif event.type == "content_block_start" and event.content_block.type == "tool_use":
        assembly.call(event.index, event.content_block.id, event.content_block.name)
    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
        assembly.text(event.index, event.delta.text)
        return str(event.delta.text)
    elif event.type == "content_block_delta":
        if event.delta.type == "input_json_delta":
            assembly.arguments(event.index, event.delta.partial_json)
        return ""
    elif event.type == "message_delta":
        assembly.usage = _usage(event.usage, assembly.usage)
        assembly.stop = "max_tokens" if event.delta.stop_reason in _CUT else "end"
    return None


def _usage(told: Any, before: Usage) -> Usage:
    """The last event repeats the sums of the first, or leaves them out."""
    read, written = told.cache_read_input_tokens, told.cache_creation_input_tokens
    return Usage(
        input_tokens=before.input_tokens if told.input_tokens is None else told.input_tokens,
        output_tokens=told.output_tokens,
        cache_read_tokens=before.cache_read_tokens if read is None else read,
        cache_write_tokens=before.cache_write_tokens if written is None else written,
    )


_CUT = ("max_tokens", "model_context_window_exceeded")
_TRANSIENT = {"overloaded_error", "rate_limit_error", "api_error", "timeout_error"}


def _meaning(error: anthropic.APIStatusError) -> Exception:
    """An error that comes inside a stream has the status 200 and says what it is in its body."""
    inner = error.body.get("error") if isinstance(error.body, dict) else None
    kind, text = (inner.get("type"), inner.get("message")) if isinstance(inner, dict) else (None, None)
    text = text or error.message
    if error.status_code in (408, 409, 429) or error.status_code >= 500 or kind in _TRANSIENT:
        return Interrupted(f"{kind or error.status_code}: {text}", asked_pause(error.response.headers))
    if error.status_code in (401, 403):
        return Refused(f"Anthropic refused the key ({text}); set ANTHROPIC_API_KEY to one that may use the model")
    return Refused(f"Anthropic refused the request ({text}); change the model or the request")
