"""A workflow's events as they happen: every one once and in order, over any number of connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn

import msgspec

from ..contract.codec import KNOWN_EVENTS, decode_event
from ..contract.envelope import Event
from ..contract.views import CaughtUp, Ping
from ..errors import Malformed
from .connection import Dropped, connect
from .problems import no_answer

MAX_PAUSE = 5.0
_FIRST_PAUSE = 0.1
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
    pause, silent_since = _FIRST_PAUSE, 0.0
    while True:
        try:
            for frame in reader.connection():
                pause, silent_since = _FIRST_PAUSE, 0.0
                yield frame
            reason = "it closed the stream"
        except Dropped as dropped:
            reason = str(dropped)
        now = time.monotonic()
        if not silent_since:
            silent_since = now
            lost(reason)
        if patience is not None and now - silent_since >= patience:
            raise no_answer(url, reason)
        time.sleep(pause)
        pause = min(pause * 2, MAX_PAUSE)


class _Reader:
    """A reader's place, kept over its connections."""

    def __init__(self, url: str, token: str, workflow_id: str, after: int) -> None:
        self._url, self._token, self._workflow_id = url, token, workflow_id
        self._last = after
        self._gaps = 0

    def connection(self) -> Iterator[Frame]:
        """What one connection brings that is new. Raises ``Dropped`` when it is to be opened again."""
        with closing(connect(self._url, self._token, self._workflow_id, after=self._last)) as messages:
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
    body = text.encode() if isinstance(text, str) else text
    try:
        for raw in _array.decode(body) if body[:1] == b"[" else [body]:
            yield _frame(bytes(raw))
    except msgspec.DecodeError as error:
        raise Malformed(f"not a frame of the stream: {error}; is it a control plane of this version?") from error


def _frame(raw: bytes) -> Frame:
    head = _head.decode(raw)
    if head.type in ("caught_up", "ping"):
        return _control.decode(raw)
    event = decode_event(raw) if head.type in KNOWN_EVENTS else None
    return Streamed(sequence=head.sequence, type=head.type, event=event, raw=raw)
