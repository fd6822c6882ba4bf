"""AgentCore Runtime as ``ports.queues.Runtimes``."""

from typing import Any

from ...errors import Conflict, Exhausted, NotFound, NotStarted, Refused, Unavailable
from .session import maybe_arrived, origin, translated

_NO_ROOM = 402
_NOTHING_RAN = frozenset({_NO_ROOM, 429})
"""Quota and throttling: AgentCore refused before a container saw the request."""


class AgentCoreRuntimes:
    def __init__(self, client: Any, runtime_arn: str) -> None:
        self._client = client
        self._arn = runtime_arn

    async def invoke(self, session_id: str, payload: bytes) -> bytes:
        try:
            with translated("starting the runtime"):
                answer = await self._client.invoke_agent_runtime(
                    agentRuntimeArn=self._arn,
                    runtimeSessionId=session_id,
                    contentType="application/json",
                    accept="application/json",
                    payload=payload,
                )
                async with answer["response"] as stream:
                    body: bytes = await stream.read()
                    return body
        except Unavailable as error:
            if origin(error)[1] == _NO_ROOM:
                raise Exhausted(str(error)) from error
            if origin(error)[1] in _NOTHING_RAN or not maybe_arrived(error):
                raise NotStarted(str(error)) from error
            if origin(error)[1] == 409:
                raise Conflict(str(error)) from error
            raise

    async def stop(self, session_id: str) -> bool:
        try:
            with translated("stopping the session"):
                await self._client.stop_runtime_session(agentRuntimeArn=self._arn, runtimeSessionId=session_id)
        except NotFound:
            return True
        except Refused as error:
            raise Unavailable(str(error)) from error
        return True
