"""Tells the tracker about work in this process: beside it, so that the work waits for nobody."""

import asyncio
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from amelia.domain.telling import TOLD, Telling, linked, stale, tellings
from amelia.domain.workflow import Workflow
from amelia.errors import AmeliaError, Unavailable
from amelia.redaction import ours
from amelia.settings import load
from amelia.trackers.tracker import Comment

from .record import Record

if TYPE_CHECKING:
    from amelia.trackers.connection import Trackers

_EARLIER = timedelta(minutes=10)
_SETTLES_SECONDS = 1.0
"""A plan may be approved by a rule as soon as it is there: then nobody is asked."""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_LAST_SECONDS = 10.0
"""For which the end of the work waits for what is still to be said."""


@contextmanager
def telling(record: Record) -> Iterator[None]:
    """While it is entered, the tracker of the record's workflow hears of it. What could not be said is noted on stderr
    in the end, and said when the same command goes on."""
    if record.row.profile.tracker not in TOLD:
        yield
        return
    teller = Teller(record)
    record.changed = teller.heed
    teller.start()
    try:
        yield
    finally:
        record.changed = None
        for note in teller.end(_LAST_SECONDS):
            click.echo(f"note: {note}", err=True)


class Teller:
    """``tellings.jsonl`` beside the record is what there is to say, ``told`` the ids of what was said or never will."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._said = record.folder / "told"
        self._file = record.folder / "tellings.jsonl"
        self._waiting: queue.SimpleQueue[Telling | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._notes: list[str] = []
        self._thread = threading.Thread(target=self._work, name="telling", daemon=True)
        done = set(_lines(self._said))
        for line in _lines(self._file):
            one = msgspec.json.decode(line, type=Telling)
            if one.id not in done:
                self._waiting.put(one)

    def heed(self, before: Workflow, after: Workflow, at: str) -> None:
        for one in tellings(before, after, at):
            _append(self._file, msgspec.json.encode(one).decode())
            self._waiting.put(one)

    def start(self) -> None:
        self._thread.start()

    def end(self, seconds: float) -> list[str]:
        """What is to be noted, once everything was said or ``seconds`` are over."""
        self._waiting.put(None)
        self._ending.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            return [*self._notes, "the tracker does not answer; its issue may not have been told how the work stands"]
        return self._notes

    def _work(self) -> None:
        try:
            asyncio.run(self._all())
        except Exception as error:
            self._note(error)

    async def _all(self) -> None:
        from amelia.trackers.connection import access, open_trackers

        async with open_trackers(access(load(os.environ), os.environ)) as trackers:
            while (one := await asyncio.to_thread(self._waiting.get)) is not None:
                try:
                    await self._one(trackers, one)
                except Unavailable as error:
                    self._note(error)
                    continue
                except AmeliaError as error:
                    self._note(error)
                _append(self._said, one.id)

    async def _one(self, trackers: "Trackers", one: Telling) -> None:
        """Again and again while the work goes on. Raises what the tracker raises."""
        if one.moment == "block":
            await asyncio.to_thread(self._ending.wait, _SETTLES_SECONDS)
        known = trackers.recognised(one.issue, one.tracker, one.repository)
        if known is None and one.address:
            known = trackers.recognised(one.address, one.tracker, one.repository)
        since = (datetime.fromisoformat(one.at) - _EARLIER).isoformat()
        comment = Comment(text=ours().text(linked(one, "")), key=one.key, since=since)
        pause, tried = _PAUSE_SECONDS, False
        while known is not None and not stale(one, self._record.row, tried=tried):
            try:
                await trackers.tell(known, comment)
                return
            except Unavailable:
                if self._ending.is_set():
                    raise
                await asyncio.to_thread(self._ending.wait, pause)
                pause, tried = min(2 * pause, _LONGEST_PAUSE_SECONDS), True

    def _note(self, error: Exception) -> None:
        note = f"the issue is not told how the work stands: {error}"
        self._notes += [note] if note not in self._notes else []


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
