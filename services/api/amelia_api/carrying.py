"""A stream on its way to one viewer, by WebSocket or as server-sent events."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar.exceptions import WebSocketDisconnect
from litestar.response import Stream

from amelia.errors import NotFound, Refused, Unavailable

from .readers import Ending, TooSlow

if TYPE_CHECKING:
    from litestar import WebSocket
    from litestar.datastructures import State

log = logging.getLogger(__name__)

IDLE_SECONDS = 15.0
NOT_FOUND, BAD_REQUEST, TOO_SLOW, TRY_AGAIN, RESTARTS = 4404, 4400, 4408, 1013, 1012
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_LARGEST = 256 * 1024
"""Characters of an array of events, unless one event alone is larger."""


class Stopped(Exception):
    """The stream ends here; ``after`` is where to go on."""

    def __init__(self, after: object) -> None:
        super().__init__(f"come back with after={after}")


async def carry(socket: "WebSocket[object, object, State]", messages: AsyncGenerator[Sequence[str], None]) -> None:
    """Sends what comes until it ends or the viewer leaves. ``messages`` raise ``Stopped`` from what stopped them."""
    sending = asyncio.create_task(_send(socket, messages))
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        for ending in await asyncio.gather(sending, leaving, return_exceptions=True):
            if isinstance(ending, Exception) and not isinstance(ending, OSError | WebSocketDisconnect):
                log.error("the stream %s broke off", socket.url.path, exc_info=ending)


async def refuse(socket: "WebSocket[object, object, State]", error: Exception) -> None:
    code = NOT_FOUND if isinstance(error, NotFound) else BAD_REQUEST if isinstance(error, Refused) else TRY_AGAIN
    await socket.close(code=code, reason=_reason(str(error)))


async def _send(socket: "WebSocket[object, object, State]", messages: AsyncGenerator[Sequence[str], None]) -> None:
    try:
        async with contextlib.aclosing(messages):
            async for texts in messages:
                for text in texts:
                    await socket.send_text(text)
    except Stopped as stopped:
        slow = isinstance(stopped.__cause__, TooSlow)
        why = "too slow" if slow else "the server restarts"
        await socket.close(code=TOO_SLOW if slow else RESTARTS, reason=_reason(f"{why}; {stopped}"))
    except Unavailable as error:
        await refuse(socket, error)


def _reason(text: str) -> str:
    """A close frame holds 123 bytes of it."""
    return text.encode()[:120].decode(errors="ignore")


async def _until_gone(socket: "WebSocket[object, object, State]") -> None:
    """What a viewer sends means nothing; that it left does."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


def together(texts: Sequence[str]) -> list[str]:
    """As arrays, none much larger than a quarter of a megabyte; what is alone stays as it is."""
    joined, length = [list[str]()], 0
    for text in texts:
        if joined[-1] and length + len(text) > _LARGEST:
            joined.append([])
            length = 0
        joined[-1].append(text)
        length += len(text)
    return [f"[{','.join(some)}]" if len(some) > 1 else some[0] for some in joined if some]


def server_sent(chunks: AsyncGenerator[str, None]) -> Stream:
    return Stream(_until_stopped(chunks), media_type="text/event-stream", headers=_HEADERS)


async def _until_stopped(chunks: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    """The end of the answer makes a browser come back by itself with the last id."""
    try:
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except (Stopped, Ending):
        return
    except Unavailable as error:
        log.warning("a stream of server-sent events ends: %s", error)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
