"""A replay server that remembers what it was asked, and under ``/compatible`` is one of those that speak OpenAI's
protocol their own way."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amelia_replay.app import create_app
from amelia_replay.reading import File

UNKNOWN = ("max_completion_tokens", "stream_options", "user", "prompt_cache_key")


class Remembering:
    """``asked`` holds path and body of each request since it was last emptied."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body:
            self.asked.append((scope["raw_path"].decode(), json.loads(body)))
        await self._app(scope, _again(body), send)


class Compatible:
    """Takes only what the protocol's oldest version had, and says a call's id and name with each piece, uncounted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not path.startswith("/compatible/"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        unknown = [name for name in UNKNOWN if name in json.loads(body)]
        if unknown:
            await _refuse(unknown[0], send)
            return
        inner = {**scope, "path": path.removeprefix("/compatible")}
        await self._app(inner, _again(body), Rewritten(send))


class Rewritten:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._calls: dict[int, dict[str, Any]] = {}

    async def __call__(self, message: Message) -> None:
        data = message.get("body", b"")
        if data.startswith(b"data: {"):
            chunk = json.loads(data.removeprefix(b"data: "))
            for choice in chunk.get("choices", ()):
                choice["delta"]["tool_calls"] = [self._said(piece) for piece in choice["delta"].get("tool_calls", ())]
            message = {**message, "body": b"data: " + json.dumps(chunk).encode() + b"\n\n"}
        await self._send(message)

    def _said(self, piece: dict[str, Any]) -> dict[str, Any]:
        begun = self._calls.setdefault(piece.pop("index"), piece)
        function = {"name": begun["function"]["name"], "arguments": piece["function"].get("arguments", "")}
        return {"id": begun["id"], "type": "function", "function": function}


async def _refuse(name: str, send: Send) -> None:
    problem = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
    body = json.dumps({"object": "error", "message": {"detail": [problem]}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 422, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class Peer:
    def __init__(self, address: str, remembering: Remembering) -> None:
        self.address = address
        self._remembering = remembering

    def asked(self) -> list[tuple[str, dict[str, Any]]]:
        """Since the last call of this."""
        taken, self._remembering.asked = self._remembering.asked, []
        return taken


@contextmanager
def listening(files: list[File]) -> Iterator[Peer]:
    """Ends the server's thread at the end."""
    remembering = Remembering(Compatible(create_app(files)))
    config = uvicorn.Config(
        remembering, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    ready = socket.create_server(("127.0.0.1", 0), backlog=128)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [ready]})
    thread.start()
    try:
        yield Peer(f"http://127.0.0.1:{ready.getsockname()[1]}", remembering)
    finally:
        server.should_exit = True
        thread.join()
