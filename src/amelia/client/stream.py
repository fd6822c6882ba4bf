"""A workflow's events as they happen: every one once and in order, over any number of connections."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn, TypeVar
from urllib.parse import quote

import msgspec

from ..contract.codec import KNOWN_EVENTS, decode_event
from ..contract.envelope import Event
from ..contract.views import CaughtUp, Ping
from ..errors import Malformed
from .connection import Dropped, connect
from .follow import over_connections

_GAPS = 5


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """``event`` is ``None`` for a type this version does not know; ``raw`` is the frame as it came."""

    sequence: int
    type: str
    event: Event | None
    raw: bytes


class _Head(msgspec.Struct):
    type: str
    sequence: int = 0


Frame = Streamed | CaughtUp | Ping
_F = TypeVar("_F")
_head = msgspec.json.Decoder(_Head)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_control: msgspec.json.Decoder[CaughtUp | Ping] = msgspec.json.Decoder(CaughtUp | Ping)


def follow(
    url: str,
    token: str,
    workflow_id: str,
    *,
    after: int = 0,
    patience: float | None = None,
    lost: Callable[[str], None] = lambda why: None,
) -> Iterator[Streamed]:
    """The events of ``frames``."""
    for frame in frames(url, token, workflow_id, after=after, patience=patience, lost=lost):
        if isinstance(frame, Streamed):
            yield frame


def frames(
    url: str,
    token: str,
    workflow_id: str,
    *,
    after: int = 0,
    patience: float | None = None,
    lost: Callable[[str], None] = lambda why: None,
) -> Iterator[Frame]:
    """Events from ``after`` on, ``CaughtUp`` once on each connection, and ``Ping``; never ends by itself.

    A lost connection is opened again from the last event seen; ``lost`` is told why, once for each loss.
    ``patience`` is for how many seconds nobody may answer before ``Unavailable``; ``None`` is for ever. Raises
    what the control plane answers (``Unauthorised``, ``NotFound``), and ``Malformed`` for a stream that keeps
    leaving out the same event.
    """
    reader = _Reader(url, token, workflow_id, after)
    return over_connections(reader.connection, url, patience, lost)


class _Reader:
    """A reader's place, kept over its connections."""

    def __init__(self, url: str, token: str, workflow_id: str, after: int) -> None:
        self._url, self._token, self._workflow_id = url, token, workflow_id
        self._last = after
        self._gaps = 0

    def connection(self) -> Iterator[Frame]:
        """What one connection brings that is new. Raises ``Dropped`` when it is to be opened again."""
        path = f"/workflows/{quote(self._workflow_id, safe='')}/events"
        with closing(connect(self._url, self._token, path, f"after={self._last}&batch=1")) as messages:
            for text in messages:
                yield from self._new(text)

    def _new(self, text: str | bytes) -> Iterator[Frame]:
        for frame in decode(text):
            if isinstance(frame, Streamed):
                if frame.sequence <= self._last:
                    continue
                if frame.sequence != self._last + 1:
                    self._gap(frame.sequence)
                self._last, self._gaps = frame.sequence, 0
            yield frame

    def _gap(self, sequence: int) -> NoReturn:
        self._gaps += 1
        if self._gaps < _GAPS:
            raise Dropped(f"event {self._last + 1} was left out")
        left_out = f"the stream of {self._workflow_id} goes from {self._last} to {sequence}"
        raise Malformed(f"{left_out}; report it to who runs {self._url}")


def decode(text: str | bytes) -> Iterator[Frame]:
    """The frames of one message: an object, or an array of them. Raises ``Malformed`` for anything else."""
    return raw_frames(text, _frame)


def raw_frames(text: str | bytes, decoded: Callable[[bytes], _F]) -> Iterator[_F]:
    """Each of a message's frames, ``decoded``."""
    body = text.encode() if isinstance(text, str) else text
    try:
        for raw in _array.decode(body) if body[:1] == b"[" else [body]:
            yield decoded(bytes(raw))
    except msgspec.DecodeError as error:
        raise Malformed(f"not a frame of the stream: {error}; is it a control plane of this version?") from error


def _frame(raw: bytes) -> Frame:
    head = _head.decode(raw)
    if head.type in ("caught_up", "ping"):
        return _control.decode(raw)
    event = decode_event(raw) if head.type in KNOWN_EVENTS else None
    return Streamed(sequence=head.sequence, type=head.type, event=event, raw=raw)
