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
from amelia.drivers.retries import Interrupted, Patience, retried, seconds
from amelia.errors import Refused

_ALLOWED = str.maketrans("%&~", "$,@")
_CACHE_POINT = {"cachePoint": {"type": "default"}}
_TRANSIENT = {
    "throttlingexception",
    "serviceunavailableexception",
    "internalserverexception",
    "modeltimeoutexception",
    "modelnotreadyexception",
    "modelstreamerrorexception",
    "modelerrorexception",
}
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


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
        self._opened = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._client: Any = None

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        return retried("Bedrock", lambda: self._attempt(request), self._patience)

    async def aclose(self) -> None:
        self._client = None
        await self._opened.aclose()

    async def _attempt(self, request: Request) -> AsyncGenerator[TextDelta | Turn, None]:
        assembly = Assembly()
        try:
            events = (await self._open(request))["stream"]
            try:
                async for event in events:
                    delta = _take(event, assembly)
                    if delta:
                        yield TextDelta(delta)
            finally:
                events.close()
        except (ClientError, BotoCoreError, aiohttp.ClientError, TimeoutError, ParserError) as error:
            raise _meaning(error) from error
        if assembly.stop is None:
            raise Interrupted("the answer was cut off")
        yield assembly.turn()

    async def _open(self, request: Request) -> Any:
        client = await self._connected()
        try:
            return await client.converse_stream(**self._body(request))
        except ClientError as error:
            if request.must_call is None or request.model in self._unforced or not _about_tool_choice(error):
                raise
            self._unforced.add(request.model)
            return await client.converse_stream(**self._body(request))

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
        caches = "anthropic.claude" in request.model and "claude-3-" not in request.model
        body: dict[str, Any] = {
            "modelId": request.model,
            "messages": _messages(request.messages, caches),
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
            body["system"] = [{"text": system}, *([_CACHE_POINT] if caches else [])]
        return body


def metadata_value(label: Label) -> str:
    """Bedrock takes no ``%``, ``&`` or ``~`` in metadata: they are sent as ``$``, ``,`` and ``@``, none of which an
    encoded label contains."""
    return label.encode().translate(_ALLOWED)


def _messages(messages: tuple[Message, ...], caches: bool) -> list[dict[str, Any]]:
    """Roles have to alternate, so neighbours of one role become one message."""
    encoded: list[dict[str, Any]] = []
    for message in messages:
        results_first = sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))
        blocks = [_block(part) for part in results_first if not (isinstance(part, Text) and not part.text.strip())]
        if encoded and encoded[-1]["role"] == message.role:
            encoded[-1]["content"].extend(blocks)
        else:
            encoded.append({"role": message.role, "content": blocks or [{"text": "(nothing)"}]})
    if caches and encoded:
        encoded[-1]["content"].append(_CACHE_POINT)
    return encoded


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"text": part.text}
        case ToolCall():
            return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": part.arguments}}
        case ToolResult():
            return {
                "toolResult": {
                    "toolUseId": part.call_id,
                    "content": [{"text": part.content if part.content.strip() else "(no output)"}],
                    "status": "error" if part.is_error else "success",
                }
            }


def _take(event: dict[str, Any], assembly: Assembly) -> str:
    """Reads one event of the stream; returns the text it brought."""
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
    elif "messageStop" in event:
        assembly.stop = "max_tokens" if event["messageStop"]["stopReason"] == "max_tokens" else "end"
    elif "metadata" in event:
        assembly.usage = _usage(event["metadata"]["usage"])
    return ""


def _usage(told: dict[str, int]) -> Usage:
    return Usage(
        input_tokens=told["inputTokens"],
        output_tokens=told["outputTokens"],
        cache_read_tokens=told.get("cacheReadInputTokens", 0),
        cache_write_tokens=told.get("cacheWriteInputTokens", 0),
    )


def _about_tool_choice(error: ClientError) -> bool:
    return "toolchoice" in str(error).lower().replace("_", "").replace(" ", "")


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
        return Interrupted(f"{code}: {text}", seconds(told.get("HTTPHeaders", {}).get("retry-after")))
    if status in (401, 403):
        return Refused(f"Bedrock refused the credentials ({code}: {text}); {_CREDENTIALS}, allowed to call the model")
    return Refused(f"Bedrock refused the request ({text}); change the model or the request")
