"""Amazon Bedrock's Converse API."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.eventstream import ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Label, Message, Part, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.connections import CONNECT_SECONDS, SILENCE_SECONDS, is_loopback
from amelia.drivers.guesses import guessed, plain_id
from amelia.drivers.retries import Interrupted, Patience, asked_pause, retried
from amelia.errors import Refused

_ALLOWED = str.maketrans("%&~", "$,@")
_CACHE_POINT = {"cachePoint": {"type": "default"}}
_CUT = ("max_tokens", "model_context_window_exceeded")
_TRANSIENT = {
    "throttlingexception",
    "serviceunavailableexception",
    "internalserverexception",
    "modeltimeoutexception",
    "modelnotreadyexception",
    "modelstreamerrorexception",
    "modelerrorexception",
}
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever is ``None`` is looked for in the SDK's own chain (profile, container, instance)."""

    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    profile: str | None = None


class BedrockDriver:
    """The client is made at the first request. Models that cannot be forced to call a tool are asked in words."""

    name = "api:bedrock"

    def __init__(
        self,
        *,
        region: str | None,
        credentials: Credentials,
        base_url: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._region = region
        self._credentials = credentials
        self._base_url = base_url
        self._unforced: set[str] = set()
        self._uncached: set[str] = set()
        self._opened = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._client: Any = None

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        return retried("Bedrock", lambda assembly: self._attempt(request, assembly), self._patience)

    async def aclose(self) -> None:
        self._client = None
        await self._opened.aclose()

    async def _attempt(self, request: Request, assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
        try:
            events = (await self._open(request))["stream"]
            try:
                async for event in events:
                    delta = _take(event, assembly)
                    if delta is not None:
                        yield TextDelta(delta)
            finally:
                events.close()
        except (ClientError, BotoCoreError, aiohttp.ClientError, TimeoutError, ParserError) as error:
            raise _meaning(error) from error
        if assembly.stop and assembly.usage == Usage():
            assembly.usage = guessed(request, assembly)

    async def _open(self, request: Request) -> Any:
        client = await self._connected()
        while True:
            try:
                return await client.converse_stream(**self._body(request))
            except ClientError as error:
                if not self._learns(request, error):
                    raise

    def _learns(self, request: Request, error: ClientError) -> bool:
        """Whether the model has refused something that there is another way for."""
        said, model = str(error).lower().replace("_", "").replace(" ", ""), request.model
        if "toolchoice" in said and request.must_call and model not in self._unforced:
            self._unforced.add(model)
        elif "cachepoint" in said or "promptcaching" in said:
            if model in self._uncached or not caches(model):
                return False
            self._uncached.add(model)
        else:
            return False
        return True

    async def _connected(self) -> Any:
        async with self._lock:
            if self._client is None:
                session = AioSession(profile=self._credentials.profile)
                self._client = await self._opened.enter_async_context(
                    session.create_client(
                        "bedrock-runtime",
                        region_name=self._region,
                        endpoint_url=self._base_url,
                        aws_access_key_id=self._credentials.access_key,
                        aws_secret_access_key=self._credentials.secret_key,
                        aws_session_token=self._credentials.session_token,
                        config=AioConfig(
                            retries={"total_max_attempts": 1, "mode": "standard"},
                            connect_timeout=CONNECT_SECONDS,
                            read_timeout=SILENCE_SECONDS,
                            proxies={} if is_loopback(self._base_url) else None,
                        ),
                    )
                )
            return self._client

    def _body(self, request: Request) -> dict[str, Any]:
        cached = caches(request.model) and request.model not in self._uncached
        body: dict[str, Any] = {
            "modelId": request.model,
            "messages": _messages(request.messages, cached),
            "inferenceConfig": {"maxTokens": request.max_tokens},
            "requestMetadata": {"amelia": metadata_value(request.label)},
        }
        system = request.system
        if request.tools:
            body["toolConfig"] = {
                "tools": [
                    {
                        "toolSpec": {
                            "name": tool.name,
                            "description": tool.description,
                            "inputSchema": {"json": tool.parameters},
                        }
                    }
                    for tool in request.tools
                ]
            }
        if request.must_call and request.model in self._unforced:
            system += f"\n\nAnswer by calling the tool {request.must_call}, not in prose."
        elif request.must_call:
            body["toolConfig"]["toolChoice"] = {"tool": {"name": request.must_call}}
        if system.strip():
            body["system"] = [{"text": system}, *([_CACHE_POINT] if cached else [])]
        return body


def caches(model: str) -> bool:
    """Whether a model takes cache points, by its name: Claude since 3.5 Haiku and 3.7 Sonnet, and Nova."""
    if "amazon.nova" in model:
        return True
    old = "claude-3-" in model and not any(newer in model for newer in ("claude-3-7-", "claude-3-5-haiku"))
    return "anthropic.claude-" in model and not old and "claude-v" not in model and "claude-instant" not in model


def metadata_value(label: Label) -> str:
    """Bedrock takes no ``%``, ``&`` or ``~`` in metadata: they are sent as ``$``, ``,`` and ``@``, none of which an
    encoded label contains."""
    return label.encode().translate(_ALLOWED)


def _messages(messages: tuple[Message, ...], cached: bool) -> list[dict[str, Any]]:
    """Roles have to alternate, so neighbours of one role become one message. The two newest of the user have cache
    points: the older one is where the last request's ended."""
    encoded: list[dict[str, Any]] = []
    for message in messages:
        results_first = sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))
        blocks = [_block(part) for part in results_first if not (isinstance(part, Text) and not part.text.strip())]
        if encoded and encoded[-1]["role"] == message.role:
            encoded[-1]["content"].extend(blocks)
        else:
            encoded.append({"role": message.role, "content": blocks or [{"text": "(nothing)"}]})
    for asked in [each for each in encoded if each["role"] == "user"][-2:] if cached else ():
        asked["content"].append(_CACHE_POINT)
    return encoded


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"text": part.text}
        case ToolCall():
            return {"toolUse": {"toolUseId": plain_id(part.id), "name": part.name, "input": part.arguments}}
        case ToolResult():
            return {
                "toolResult": {
                    "toolUseId": plain_id(part.call_id),
                    "content": [{"text": part.content if part.content.strip() else "(no output)"}],
                    "status": "error" if part.is_error else "success",
                }
            }


def _take(event: dict[str, Any], assembly: Assembly) -> str | None:
    """Reads one event of the stream; returns the text it brought, "" for what else shows that the model is at it."""
    if "contentBlockStart" in event:
        begun = event["contentBlockStart"]
        call = begun["start"].get("toolUse")
        if call:
            assembly.call(begun["contentBlockIndex"], call["toolUseId"], call["name"])
    elif "contentBlockDelta" in event:
        index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
        if "text" in delta:
            assembly.text(index, delta["text"])
            return str(delta["text"])
        if "toolUse" in delta:
            assembly.arguments(index, delta["toolUse"]["input"])
        return ""
    elif "messageStop" in event:
        assembly.stop = "max_tokens" if event["messageStop"]["stopReason"] in _CUT else "end"
    elif "metadata" in event:
        assembly.usage = _usage(event["metadata"]["usage"])
    return None


def _usage(told: dict[str, int]) -> Usage:
    return Usage(
        input_tokens=told["inputTokens"],
        output_tokens=told["outputTokens"],
        cache_read_tokens=told.get("cacheReadInputTokens", 0),
        cache_write_tokens=told.get("cacheWriteInputTokens", 0),
    )


def _meaning(error: Exception) -> Exception:
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError | ProfileNotFound):
        return Refused(f"Bedrock needs AWS credentials ({error}); {_CREDENTIALS}")
    if isinstance(error, HTTPClientError | BotoConnectionError) or not isinstance(error, BotoCoreError):
        return Interrupted(f"the connection failed: {error!r}")
    return Refused(f"Bedrock refused the request ({error}); change the model or the request")


def _answered(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = error.response.get("Error", {}).get("Message", "") or str(error)
    told = error.response.get("ResponseMetadata", {})
    status = told.get("HTTPStatusCode", 0)
    if code.lower() in _TRANSIENT or status in (408, 424, 429) or status >= 500:
        return Interrupted(f"{code}: {text}", asked_pause(told.get("HTTPHeaders", {})))
    if status in (401, 403):
        return Refused(f"Bedrock refused the credentials ({code}: {text}); {_CREDENTIALS}, allowed to call the model")
    return Refused(f"Bedrock refused the request ({text}); change the model or the request")
