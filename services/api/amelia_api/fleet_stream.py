"""The stream of the whole fleet: WebSocket, server-sent events, and pages, all with one cursor."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, get_args

import msgspec
from litestar import Request, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter
from litestar.response import Response, Stream

from amelia.contract.frames import FleetCaughtUp, FleetPing
from amelia.contract.workflow import Status
from amelia.errors import Refused, Unavailable
from amelia.ports.journal import Cursor

from . import carrying
from .depends import Broadcaster, Journal
from .fleet_tail import Passed, Wanted, frame, written
from .paged import OfTheFleet
from .problems import answers
from .readers import Ending, TooSlow

_MOST = 1000
_MOST_FILTERS = 50
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
_TYPE = re.compile(r"[a-z_]{1,64}", re.ASCII)
_STATUSES: tuple[str, ...] = get_args(Status)
_encode = msgspec.json.Encoder().encode

Statuses = Annotated[list[str] | None, QueryParameter(description="Of workflows in one of these. May be repeated.")]
Types = Annotated[list[str] | None, QueryParameter(name="type", description="Events of these types. May be repeated.")]
Repositories = Annotated[list[str] | None, QueryParameter(description="Of workflows in these. May be repeated.")]


@websocket("/events")
async def watch(socket: "WebSocket[object, object, State]", journal: Journal, broadcaster: Broadcaster) -> None:
    """Every event of the fleet after the cursor ``after``, then live; without one, from now on; from the beginning
    with ``begin`` or ``0``. ``status``, ``type`` and ``repository`` narrow it. ``batch=1``: a frame may be an array.

    Close codes: 4400 a bad question, 4408 the reader was too slow, 1012 the server restarts, 1013 the journal is away.
    """
    await socket.accept()
    try:
        wanted = _wanted(socket)
        head = (await journal.fleet_events(None, 0)).cursor
        after = read_cursor(str(socket.query_params.get("after", "")), head)
    except (Refused, Unavailable) as error:
        await carrying.refuse(socket, error)
        return
    following = broadcaster.fleet.follow(after, head, wanted, carrying.IDLE_SECONDS)
    batch = socket.query_params.get("batch") == "1"
    await carrying.carry(socket, _messages(following, after, batch=batch))


async def _messages(
    following: AsyncGenerator[Passed, None], after: Cursor, *, batch: bool
) -> AsyncGenerator[Sequence[str], None]:
    try:
        async with aclosing(following):
            async for passed in following:
                after = passed.cursor
                texts = [text for _, text in passed.frames] or [_said(passed)]
                yield carrying.together(texts) if batch else texts
    except (TooSlow, Ending) as error:
        raise carrying.Stopped(written(after)) from error


@get("/events", media_type="text/event-stream", operation_class=OfTheFleet, responses=answers(400, 401, 422, 503))
async def events(
    request: "Request[object, object, State]",
    journal: Journal,
    broadcaster: Broadcaster,
    after: FromQuery[str] = "",
    status: Statuses = None,
    types: Types = None,
    repository: Repositories = None,
) -> Response[bytes] | Stream:
    """Server-sent events of the whole fleet, for ``curl -N``, from the cursor ``after`` on: without one from now, with
    ``begin`` from the beginning. Who accepts only JSON is given a page, ``items`` and the ``cursor`` after them;
    ``caught_up`` when there is nothing more now.
    """
    wanted = _wanted(request)
    head = (await journal.fleet_events(None, 0)).cursor
    place = read_cursor(request.headers.get("last-event-id", "") or after, head)
    if not request.headers.get("accept", "").startswith("application/json"):
        following = broadcaster.fleet.follow(place, head, wanted, carrying.IDLE_SECONDS)
        return carrying.server_sent(_chunks(following, place))
    page = await journal.fleet_events(place, _MOST)
    items = ",".join(frame(event) for event in page.items if event in wanted)
    caught_up = "true" if page.complete else "false"
    body = f'{{"items":[{items}],"cursor":"{written(page.cursor)}","caught_up":{caught_up}}}'
    return Response(body.encode(), media_type="application/json", headers={"Cache-Control": "no-store"})


async def _chunks(following: AsyncGenerator[Passed, None], after: Cursor) -> AsyncGenerator[str, None]:
    """Every one has an id, so that a browser comes back with the newest place also when nothing was for it."""
    try:
        async with aclosing(following):
            async for passed in following:
                after = passed.cursor
                if passed.frames:
                    yield "".join(f"id: {written(at)}\nevent: event\ndata: {text}\n\n" for at, text in passed.frames)
                else:
                    name = "caught_up" if passed.caught_up else "ping"
                    yield f"id: {written(after)}\nevent: {name}\ndata: {_said(passed)}\n\n"
    except (TooSlow, Ending) as error:
        raise carrying.Stopped(written(after)) from error


def _said(passed: Passed) -> str:
    cursor = written(passed.cursor)
    if passed.caught_up:
        return _encode(FleetCaughtUp(cursor=cursor)).decode()
    return _encode(FleetPing(timestamp=carrying.now(), cursor=cursor, lag_seconds=int(passed.lag_seconds))).decode()


def read_cursor(text: str, head: Cursor) -> Cursor:
    """Raises ``Refused`` for what this fleet gave to nobody."""
    if not text:
        return head
    if text in ("0", "begin"):
        return (0, 0)
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise Refused(f"after={text[:80]!r} is no cursor; take the one of a frame, or begin for all there is")
    place = (int(found[1]), int(found[2]))
    if place > head:
        raise Refused(f"after={text} lies beyond the end of this fleet's events; is it of another fleet?")
    return place


def _wanted(asking: "WebSocket[object, object, State] | Request[object, object, State]") -> Wanted:
    def given(name: str) -> frozenset[str]:
        values = frozenset(str(value) for value in asking.query_params.getall(name, []))
        if len(values) > _MOST_FILTERS:
            raise Refused(f"{len(values)} values for {name}; give at most {_MOST_FILTERS}, or none for all")
        return values

    for status in given("status") - {*_STATUSES}:
        raise Refused(f"status={status[:80]!r} is none; there are {', '.join(_STATUSES)}")
    for kind in given("type"):
        if not _TYPE.fullmatch(kind):
            raise Refused(f"type={kind[:80]!r} is no type of event; they look like workflow_blocked")
    return Wanted(status=given("status"), types=given("type"), repositories=given("repository"))
