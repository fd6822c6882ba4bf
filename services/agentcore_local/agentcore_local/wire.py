"""Requests, replies and the way they take through ASGI."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from agentcore_local.errors import ApiError, Invalid
from agentcore_local.faults import Fault

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`path` holds the decoded labels of the operation's URI, `headers` lower-case names."""

    operation: str
    path: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    fault: Fault | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """`finish` is called once, when the body has been sent or given up."""

    status: int = 200
    headers: Headers = []
    body: bytes | AsyncIterator[bytes] = b""
    finish: Callable[[], None] | None = None


def json_reply(content: object, *, status: int = 200, headers: Headers | None = None) -> Reply:
    return Reply(
        status=status,
        headers=[(b"content-type", b"application/json"), *(headers or [])],
        body=msgspec.json.encode(content),
    )


def error_reply(error: ApiError) -> Reply:
    body: dict[str, str] = {"message": error.message}
    if error.reason:
        body["reason"] = error.reason
    return json_reply(body, status=error.status, headers=[(b"x-amzn-errortype", error.type.encode())])


def query_of(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body; raises Invalid when it has more than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise Invalid(f"the body is larger than {limit} bytes; send less")
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_reply(reply: Reply, receive: Receive, send: Send) -> None:
    """Sends a reply; a caller who hangs up ends the stream it reads from."""
    try:
        if isinstance(reply.body, bytes):
            headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
        else:
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            await _stream(reply.body, receive, send)
    finally:
        if reply.finish:
            reply.finish()


async def lose_reply(reply: Reply, scope: Scope, receive: Receive) -> None:
    """Lets the work behind a reply complete, then closes the connection without an answer."""
    try:
        if not isinstance(reply.body, bytes):
            async for _ in reply.body:
                pass
    finally:
        if reply.finish:
            reply.finish()
    transport = scope.get("state", {}).get("transport")
    if transport is None:
        raise ConnectionResetError("the answer is lost on purpose")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(body: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    pump = asyncio.create_task(_pump(body, send))
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((pump, gone), return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
    finally:
        for task in (pump, gone):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _pump(body: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in body:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
