"""Responses that take their time, and can break off as a lost connection does."""

import asyncio
from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from amelia_replay.answer import Frame
from amelia_replay.conversation import Fault
from amelia_replay.script import Line
from amelia_replay.wire import Wire


class Playing(Response):
    """Streams frames. With a fault that cuts, it stops before the frame that would pass the limit, or before the
    answer's end: with the service's error when the fault has a status, else by closing the connection."""

    def __init__(self, frames: Iterator[Frame], line: Line, wire: Wire, fault: Fault | None) -> None:
        super().__init__(media_type=wire.media_type, headers={"cache-control": "no-cache"})
        del self.headers["content-length"]
        self._frames, self._line, self._wire, self._fault = frames, line, wire, fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self._line.latency)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sent = 0
        for frame in self._frames:
            if self._fault is not None and (frame.closing or sent + frame.characters > (self._fault.cut or 0)):
                await self._break_off(self._fault, send)
                return
            await send({"type": "http.response.body", "body": frame.data, "more_body": True})
            sent += frame.characters
            await asyncio.sleep(self._line.chunk_delay if frame.characters else 0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break_off(self, fault: Fault, send: Send) -> None:
        """A response that never says it is complete makes the server close the connection."""
        if fault.status is not None:
            body = self._wire.broken(fault.status, message_of(fault))
            await send({"type": "http.response.body", "body": body, "more_body": False})


class Torn(Response):
    """A whole answer of which only the first half arrives."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def message_of(fault: Fault) -> str:
    return fault.message or f"injected error {fault.status}"
