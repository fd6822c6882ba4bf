"""The data plane as an ASGI application."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from agentcore_local.control_api import ControlApi
from agentcore_local.errors import ApiError, Forbidden, NotFound, type_of
from agentcore_local.faults import Fault, Injector
from agentcore_local.identity_api import IdentityApi
from agentcore_local.memory_api import MemoryApi
from agentcore_local.nursery import Nursery
from agentcore_local.operations import Operation, route
from agentcore_local.runtime_api import SESSION, RuntimeApi
from agentcore_local.sessions import Sessions
from agentcore_local.settings import Settings
from agentcore_local.wire import (
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    error_reply,
    headers_of,
    lose_reply,
    query_of,
    read_body,
    send_reply,
)

_log = logging.getLogger(__name__)
_MAX_BODY = 100_000_000


class DataPlane:
    """Serves HTTP between `start()` and `close()`; the lifespan protocol calls both."""

    def __init__(self, settings: Settings) -> None:
        state = settings.state_dir
        self.faults = Injector(settings.faults)
        self.nursery = (
            Nursery(settings.app, state / "sessions", state / "logs" / "zygote.log", settings.environment)
            if settings.app
            else None
        )
        self.sessions = Sessions(settings, self.nursery, self.faults)
        self.memory = MemoryApi(settings)
        self.identity = IdentityApi(settings.identity, state / "identity.key")
        self.runtime = RuntimeApi(settings, self.sessions, self.identity)
        self.control = ControlApi(self.sessions, self.nursery, self.faults)

    async def start(self) -> None:
        """Raises StartError when the runtime's app cannot be imported."""
        await self.memory.start()
        await self.sessions.start()
        if self.nursery:
            await self.nursery.start()

    async def close(self) -> None:
        """Ends every session and the zygote."""
        await self.sessions.close()
        if self.nursery:
            await self.nursery.close()
        await self.memory.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault: Fault | None = None
        try:
            operation, request = await self._read(scope, receive)
            fault = request.fault
            reply = await self._perform(operation, request)
        except ConnectionResetError:
            return
        except ApiError as error:
            reply = error_reply(error)
        reply.headers.append((b"x-amzn-requestid", str(uuid.uuid4()).encode()))
        if fault and fault.drop_after:
            await lose_reply(reply, scope, receive)
        else:
            await send_reply(reply, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> tuple[Operation, Request]:
        headers = headers_of(scope)
        if "origin" in headers:
            raise Forbidden("browsers are not served")
        found = route(scope["method"], scope["raw_path"])
        body = await read_body(receive, _MAX_BODY)
        if found is None:
            raise NotFound(f"no operation has {scope['method']} {scope['path']}")
        operation, path = found
        fault = None
        if operation.plane != "control" and self.faults.plan.rules:
            session = headers.get(SESSION) or path.get("session") or _session_in(body, operation)
            fault = self.faults.take(operation.name, session)
        return operation, Request(
            operation=operation.name,
            path=path,
            query=query_of(scope),
            headers=headers,
            body=body,
            fault=fault,
        )

    async def _perform(self, operation: Operation, request: Request) -> Reply:
        if operation.plane == "control":
            return await self._handler(self.control, operation)(request)
        if request.fault and (error := request.fault.error(operation.plane)):
            raise error
        owner = {"runtime": self.runtime, "memory": self.memory, "identity": self.identity}[operation.plane]
        try:
            return await self._handler(owner, operation)(request)
        except (ApiError, ConnectionResetError):
            raise
        except Exception as error:
            _log.exception("%s failed", operation.name)
            raise ApiError(500, type_of(500, operation.plane), f"{operation.name} failed: {error}") from error

    @staticmethod
    def _handler(owner: object, operation: Operation) -> Callable[[Request], Awaitable[Reply]]:
        handler: Callable[[Request], Awaitable[Reply]] = getattr(owner, operation.name)
        return handler


def _session_in(body: bytes, operation: Operation) -> str | None:
    if operation.name != "create_event":
        return None
    try:
        content: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    session = content.get("sessionId") if isinstance(content, dict) else None
    return session if isinstance(session, str) else None
