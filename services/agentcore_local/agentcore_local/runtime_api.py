"""InvokeAgentRuntime and StopRuntimeSession."""

import asyncio
import contextlib
import re
import signal
import uuid
from collections.abc import AsyncIterator

import h11

from agentcore_local.errors import ApiError, ContainerFailed, Invalid, NotFound
from agentcore_local.exchange import Exchange
from agentcore_local.faults import Fault
from agentcore_local.identity_api import IdentityApi
from agentcore_local.session import Session, SessionKey
from agentcore_local.sessions import Sessions
from agentcore_local.settings import Settings
from agentcore_local.wire import Headers, Reply, Request, json_reply

SESSION = "x-amzn-bedrock-agentcore-runtime-session-id"
_USER = "x-amzn-bedrock-agentcore-runtime-user-id"
_REQUEST = "x-amzn-bedrock-agentcore-runtime-request-id"
_CUSTOM = "x-amzn-bedrock-agentcore-runtime-custom-"
_TRACE = ("traceparent", "tracestate", "baggage", "x-amzn-trace-id")
_MCP = ("mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name")
_TO_CONTAINER = frozenset(("content-type", "accept", SESSION, _USER, *_TRACE, *_MCP))
_TO_CALLER = frozenset(name.encode() for name in ("content-type", "cache-control", *_TRACE, *_MCP))
_RUNTIME = re.compile(r"arn:aws[a-z-]*:bedrock-agentcore:[a-z0-9-]+:[0-9]{12}:runtime/[a-zA-Z][a-zA-Z0-9_-]{0,99}\Z")
_LONGEST = {"traceparent": 128, "tracestate": 512, "baggage": 8192, "x-amzn-trace-id": 128}
_ATTEMPTS = 3
_EXIT_SECONDS = 5.0
_END_SECONDS = 1.0
_BROKEN = (OSError, EOFError, h11.ProtocolError)


class RuntimeApi:
    def __init__(self, settings: Settings, sessions: Sessions, identity: IdentityApi) -> None:
        self._settings = settings
        self._sessions = sessions
        self._identity = identity

    async def invoke(self, request: Request) -> Reply:
        """Forwards the body to the session's process and streams its answer back."""
        key = self._key(request, generate=True)
        headers = self._headers(request, key)
        session, exchange = await self._reach(key, request.fault)
        try:
            await exchange.send("POST", "/invocations", headers, request.body)
            _kill_later(session, request.fault, "during")
            async with asyncio.timeout(self._settings.request_timeout):
                status, answered = await exchange.head()
        except _BROKEN as error:
            self._part(session, exchange, request.fault)
            await _see_end(session)
            raise _failed(session, f"ended without an answer ({type(error).__name__})") from error
        except TimeoutError as error:
            self._part(session, exchange, request.fault)
            raise ApiError(504, "GatewayTimeoutException", "the runtime took too long to answer") from error
        except BaseException:
            self._part(session, exchange, request.fault)
            raise
        if status >= 400:
            self._part(session, exchange, request.fault)
            raise _failed(session, f"answered {status}")
        return Reply(
            status=status,
            headers=_answered(answered, key),
            body=self._body(session, exchange),
            finish=lambda: self._part(session, exchange, request.fault),
        )

    async def stop(self, request: Request) -> Reply:
        """Starts to end a session; answers before it has ended."""
        key = self._key(request, generate=False)
        self._sessions.stop(self._sessions.find(key), "it was asked to stop")
        return json_reply({}, headers=[(SESSION.encode(), key.id.encode("latin-1"))])

    async def _reach(self, key: SessionKey, fault: Fault | None) -> tuple[Session, Exchange]:
        """A session that accepts connections; one that has died is replaced."""
        for _ in range(_ATTEMPTS):
            session = await self._sessions.enter(key)
            try:
                if fault and fault.kill == "before":
                    await _kill_now(session)
                return session, await Exchange.open(session.port)
            except OSError:
                session.leave()
                async with asyncio.timeout(_EXIT_SECONDS):
                    await session.exited.wait()
            except BaseException:
                session.leave()
                raise
        raise _failed(session, "ends as soon as it is started")

    async def _body(self, session: Session, exchange: Exchange) -> AsyncIterator[bytes]:
        async with asyncio.timeout(self._settings.stream_timeout):
            async for chunk in exchange.chunks():
                yield chunk

    def _part(self, session: Session, exchange: Exchange, fault: Fault | None) -> None:
        exchange.close()
        session.leave()
        _kill_later(session, fault, "after")

    def _key(self, request: Request, *, generate: bool) -> SessionKey:
        arn = request.path["arn"]
        if not _RUNTIME.match(arn):
            raise Invalid(f"{arn!r} is not the ARN of an agent runtime")
        if self._settings.runtimes and arn not in self._settings.runtimes:
            raise NotFound(f"there is no agent runtime {arn}; name it under `runtimes` in the configuration")
        session = request.headers.get(SESSION) or (str(uuid.uuid4()) if generate else "")
        if not 33 <= len(session) <= 256:
            raise Invalid(f"runtimeSessionId has {len(session)} characters; it needs 33 to 256")
        return SessionKey(arn, session)

    def _headers(self, request: Request, key: SessionKey) -> list[tuple[str, str]]:
        """What the container sees; the caller's signature is not passed on."""
        for name, longest in _LONGEST.items():
            if len(request.headers.get(name, "")) > longest:
                raise Invalid(f"{name} is longer than {longest} characters")
        passed = {
            name: value for name, value in request.headers.items() if name in _TO_CONTAINER or name.startswith(_CUSTOM)
        }
        passed[SESSION] = key.id
        passed[_REQUEST] = str(uuid.uuid4())
        if user := request.headers.get(_USER):
            workload = key.arn.rpartition("/")[2]
            passed["workloadaccesstoken"] = self._identity.mint(workload, user)
        return list(passed.items())


async def _kill_now(session: Session) -> None:
    session.signal(signal.SIGKILL)
    await session.exited.wait()
    raise _failed(session, "was killed before the invocation reached it")


async def _see_end(session: Session) -> None:
    """Waits for a process that broke off, so that the caller's next try does not meet it dying."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await session.exited.wait()


def _kill_later(session: Session, fault: Fault | None, when: str) -> None:
    if fault and fault.kill == when:
        asyncio.get_running_loop().call_later(fault.delay, session.signal, signal.SIGKILL)


def _answered(headers: Headers, key: SessionKey) -> Headers:
    kept = [(name, value) for name, value in headers if name in _TO_CALLER]
    return [*kept, (SESSION.encode(), key.id.encode("latin-1"))]


def _failed(session: Session, how: str) -> ContainerFailed:
    return ContainerFailed(f"the runtime of session {session.key.id} {how}; see {session.log}")
