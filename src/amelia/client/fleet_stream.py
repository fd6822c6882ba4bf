"""The events of the whole fleet as they happen: every one once, over any number of connections."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from urllib.parse import urlencode

import msgspec

from ..contract.codec import KNOWN_EVENTS, decode_event
from ..contract.envelope import Event
from ..contract.frames import FleetCaughtUp, FleetPing
from .connection import connect
from .follow import over_connections
from .stream import raw_frames


class FleetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """``event`` is ``None`` for a type this version does not know; ``raw`` is the frame as it came.

    ``cursor`` is where to go on after it; ``sequence`` its place in the workflow.
    """

    cursor: str
    workflow_id: str
    sequence: int
    type: str
    event: Event | None
    raw: bytes


class _Head(msgspec.Struct):
    type: str
    cursor: str
    sequence: int = 0
    workflow_id: str = ""


FleetFrame = FleetEvent | FleetCaughtUp | FleetPing
_head = msgspec.json.Decoder(_Head)
_control: msgspec.json.Decoder[FleetCaughtUp | FleetPing] = msgspec.json.Decoder(FleetCaughtUp | FleetPing)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Only events of these types, and of workflows now in one of these statuses or repositories; empty is all."""

    status: Sequence[str] = ()
    types: Sequence[str] = ()
    repositories: Sequence[str] = ()


def fleet_frames(
    url: str,
    token: str,
    *,
    after: str = "",
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    patience: float | None = None,
    lost: Callable[[str], None] = lambda why: None,
) -> Iterator[FleetFrame]:
    """Events after the cursor ``after`` (empty: from now on, ``begin``: all), ``FleetCaughtUp`` on each connection,
    and ``FleetPing``; never ends by itself. Every frame's ``cursor`` is a place to go on from. ``patience``, ``lost``
    and errors as with ``stream.frames``, but for what is left out: cursors have no holes to see.
    """
    reader = _Reader(url, token, after, wanted)
    return over_connections(reader.connection, url, patience, lost)


class _Reader:
    """A reader's place, kept over its connections."""

    def __init__(self, url: str, token: str, after: str, wanted: Wanted) -> None:
        self._url, self._token, self._cursor = url, token, after
        filters = {"status": wanted.status, "type": wanted.types, "repository": wanted.repositories}
        self._filters = [(name, value) for name, values in filters.items() for value in values]

    def connection(self) -> Iterator[FleetFrame]:
        query = urlencode([("after", self._cursor), ("batch", "1"), *self._filters])
        with closing(connect(self._url, self._token, "/events", query)) as messages:
            for text in messages:
                for raw in raw_frames(text, _frame):
                    self._cursor = raw.cursor
                    yield raw


def _frame(raw: bytes) -> FleetFrame:
    head = _head.decode(raw)
    if head.type in ("caught_up", "ping"):
        return _control.decode(raw)
    return FleetEvent(
        cursor=head.cursor,
        workflow_id=head.workflow_id,
        sequence=head.sequence,
        type=head.type,
        event=decode_event(raw) if head.type in KNOWN_EVENTS else None,
        raw=raw,
    )
