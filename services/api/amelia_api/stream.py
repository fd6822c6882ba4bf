"""Streams of one workflow: WebSocket, and server-sent events on the same path."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from litestar import Request, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream

from amelia.contract.views import CaughtUp, Ping
from amelia.errors import NotFound, Refused, Unavailable

from .broadcaster import Numbered, TooSlow, frame
from .depends import Broadcaster, Journal
from .problems import answers

log = logging.getLogger(__name__)

IDLE_SECONDS = 15.0
NOT_FOUND, BAD_REQUEST, TOO_SLOW, TRY_AGAIN = 4404, 4400, 4408, 1013
_MOST = 1000
_LARGEST = 256 * 1024
"""Characters of an array of events, unless one event alone is larger."""

_encode = msgspec.json.Encoder().encode


@websocket("/workflows/{workflow_id:str}/events")
async def watch(
    socket: "WebSocket[object, object, State]", workflow_id: FromPath[str], journal: Journal, broadcaster: Broadcaster
) -> None:
    """Every event above ``after``, in order, then live. With ``batch=1`` a frame may be an array of events.

    Close codes: 4400 a bad ``after``, 4404 no such workflow, 4408 the reader was too slow (come back with its cursor),
    1013 the journal is away.
    """
    await socket.accept()
    try:
        after = read_after(str(socket.query_params.get("after", "0")))
        reached = await _known(journal, workflow_id, after)
    except NotFound as error:
        await socket.close(code=NOT_FOUND, reason=str(error)[:120])
        return
    except Refused as error:
        await socket.close(code=BAD_REQUEST, reason=str(error)[:120])
        return
    together = socket.query_params.get("batch") == "1"
    sending = asyncio.create_task(
        _send(socket, broadcaster.follow(workflow_id, after, reached, IDLE_SECONDS), after, together=together)
    )
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        for ending in await asyncio.gather(sending, leaving, return_exceptions=True):
            if isinstance(ending, Exception) and not isinstance(ending, OSError | WebSocketDisconnect):
                log.error("the stream of %s broke off", workflow_id, exc_info=ending)


async def _send(
    socket: "WebSocket[object, object, State]",
    following: AsyncIterator[list[Numbered] | None],
    after: int,
    *,
    together: bool,
) -> None:
    try:
        async for frames in following:
            if frames is None:
                await socket.send_text(_encode(CaughtUp(sequence=after)).decode())
            elif not frames:
                await socket.send_text(_ping())
            else:
                after = frames[-1][0]
                for text in _texts(frames, together=together):
                    await socket.send_text(text)
    except TooSlow:
        await socket.close(code=TOO_SLOW, reason=f"too slow; come back with after={after}")
    except Unavailable as error:
        await socket.close(code=TRY_AGAIN, reason=str(error)[:120])


def _texts(frames: list[Numbered], *, together: bool) -> list[str]:
    if not together:
        return [text for _, text in frames]
    joined, length = [list[str]()], 0
    for _, text in frames:
        if joined[-1] and length + len(text) > _LARGEST:
            joined.append([])
            length = 0
        joined[-1].append(text)
        length += len(text)
    return [f"[{','.join(texts)}]" if len(texts) > 1 else texts[0] for texts in joined]


async def _until_gone(socket: "WebSocket[object, object, State]") -> None:
    """What a viewer sends means nothing; that it left does."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


@get(
    "/workflows/{workflow_id:str}/events",
    media_type="text/event-stream",
    responses=answers(400, 401, 404, 422, 503),
)
async def events(
    request: "Request[object, object, State]",
    workflow_id: FromPath[str],
    journal: Journal,
    broadcaster: Broadcaster,
    after: FromQuery[int] = 0,
) -> Response[bytes] | Stream:
    """Server-sent events, for ``curl -N``; a page of at most 1,000 as a JSON array for who accepts only JSON."""
    if after < 0:
        raise Refused(f"after={after} is no place in a stream; sequences begin at 1, and 0 means all")
    last = request.headers.get("last-event-id", "")
    after = read_after(last) if last else after
    reached = await _known(journal, workflow_id, after)
    if request.headers.get("accept", "").startswith("application/json"):
        rows = await journal.events({workflow_id: after}, _MOST)
        return Response(f"[{','.join(map(frame, rows))}]".encode(), media_type="application/json")
    return Stream(
        _server_sent(broadcaster.follow(workflow_id, after, reached, IDLE_SECONDS), after),
        media_type="text/event-stream",
    )


async def _server_sent(following: AsyncIterator[list[Numbered] | None], after: int) -> AsyncIterator[str]:
    try:
        async for frames in following:
            if frames is None:
                yield f"event: caught_up\ndata: {_encode(CaughtUp(sequence=after)).decode()}\n\n"
            elif not frames:
                yield f"event: ping\ndata: {_ping()}\n\n"
            else:
                after = frames[-1][0]
                yield "".join(f"id: {sequence}\nevent: event\ndata: {text}\n\n" for sequence, text in frames)
    except TooSlow:
        return


def _ping() -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _encode(Ping(timestamp=now)).decode()


def read_after(text: str) -> int:
    """Raises ``Refused`` for what is no place in a stream."""
    if not text.isdecimal() or len(text) > 18:
        raise Refused(f"after={text!r} is no place in a stream; sequences begin at 1, and 0 means all")
    return int(text)


async def _known(journal: Journal, workflow_id: str, after: int) -> int:
    """The sequence that the workflow has reached."""
    row = await journal.get(workflow_id)
    if row is None:
        raise NotFound(f"there is no workflow {workflow_id}; amelia workflows list shows those there are")
    if after > row.workflow.sequence:
        raise Refused(f"after={after} lies beyond the last event ({row.workflow.sequence}) of {workflow_id}")
    return row.workflow.sequence
