"""Streams of one workflow: WebSocket, and server-sent events on the same path."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from litestar import Request, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream

from amelia.contract.views import CaughtUp, Ping
from amelia.errors import NotFound, Refused, Unavailable

from . import carrying
from .broadcaster import frame
from .depends import Broadcaster, Journal
from .paged import OfOneWorkflow
from .problems import answers
from .readers import Ending, TooSlow

_MOST = 1000

_encode = msgspec.json.Encoder().encode


@websocket("/workflows/{workflow_id:str}/events")
async def watch(
    socket: "WebSocket[object, object, State]", workflow_id: FromPath[str], journal: Journal, broadcaster: Broadcaster
) -> None:
    """Every event above ``after``, in order, then live. With ``batch=1`` a frame may be an array of events.

    Close codes: 4400 a bad ``after``, 4404 no such workflow, 4408 the reader was too slow (come back with its cursor),
    1012 the server restarts (come back at once), 1013 the journal is away.
    """
    await socket.accept()
    try:
        after = read_after(str(socket.query_params.get("after", "0")))
        await _known(journal, workflow_id, after)
    except (NotFound, Refused, Unavailable) as error:
        await carrying.refuse(socket, error)
        return
    batch = socket.query_params.get("batch") == "1"
    await carrying.carry(socket, _messages(broadcaster, workflow_id, after, batch=batch))


async def _messages(
    broadcaster: Broadcaster, workflow_id: str, after: int, *, batch: bool
) -> AsyncGenerator[Sequence[str], None]:
    try:
        async with aclosing(broadcaster.follow(workflow_id, after, carrying.IDLE_SECONDS)) as following:
            async for frames in following:
                if frames is None:
                    yield (_encode(CaughtUp(sequence=after)).decode(),)
                elif not frames:
                    yield (_ping(),)
                else:
                    after = frames[-1][0]
                    texts = [text for _, text in frames]
                    yield carrying.together(texts) if batch else texts
    except (TooSlow, Ending) as error:
        raise carrying.Stopped(after) from error


@get(
    "/workflows/{workflow_id:str}/events",
    media_type="text/event-stream",
    operation_class=OfOneWorkflow,
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
    await _known(journal, workflow_id, after)
    if request.headers.get("accept", "").startswith("application/json"):
        rows = await journal.events({workflow_id: after}, _MOST)
        return Response(f"[{','.join(map(frame, rows))}]".encode(), media_type="application/json")
    return carrying.server_sent(_chunks(broadcaster, workflow_id, after))


async def _chunks(broadcaster: Broadcaster, workflow_id: str, after: int) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(broadcaster.follow(workflow_id, after, carrying.IDLE_SECONDS)) as following:
            async for frames in following:
                if frames is None:
                    yield f"event: caught_up\ndata: {_encode(CaughtUp(sequence=after)).decode()}\n\n"
                elif not frames:
                    yield f"event: ping\ndata: {_ping()}\n\n"
                else:
                    after = frames[-1][0]
                    yield "".join(f"id: {sequence}\nevent: event\ndata: {text}\n\n" for sequence, text in frames)
    except (TooSlow, Ending) as error:
        raise carrying.Stopped(after) from error


def _ping() -> str:
    return _encode(Ping(timestamp=carrying.now())).decode()


def read_after(text: str) -> int:
    """Raises ``Refused`` for what is no place in a stream."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Refused(f"after={text[:80]!r} is no place in a stream; sequences begin at 1, and 0 means all")
    return int(text)


async def _known(journal: Journal, workflow_id: str, after: int) -> None:
    row = await journal.get(workflow_id)
    if row is None:
        raise NotFound(f"there is no workflow {workflow_id}; amelia workflows list shows those there are")
    if after > row.workflow.sequence:
        raise Refused(f"after={after} lies beyond the last event ({row.workflow.sequence}) of {workflow_id}")
