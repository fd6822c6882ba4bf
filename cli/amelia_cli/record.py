"""A workflow while it is worked here: what happens to it is kept before anything follows from it."""

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.codec import encode
from amelia.contract.envelope import Event
from amelia.domain.lessons import learnt
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, Refused
from amelia.redaction import ours

from .story import FILE, LOCK, Story
from .views import View

Changed = Callable[[Workflow, Workflow, str], None]
"""Given the workflow before an event and after it, and when that was."""


if TYPE_CHECKING:
    from amelia.adapters.local.lessons import LocalLessons


def place(folder: Path) -> Path:
    """``folder``, where runs are kept, made when it is not there. Raises ``Refused`` when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        why = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise Refused(f"{folder} cannot hold what is worked here: {why}; choose another place with AMELIA_STATE_DIR")
    return folder


class Record(Story):
    """The events of one workflow in ``folder``, held by one process at a time. Call ``close`` in the end.

    Raises ``Conflict`` when another process works on it.
    """

    def __init__(self, folder: Path, shown: View) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(folder)
        self._shown = shown
        self.changed: Changed | None = None
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if not _taken(self._lock):
            os.close(self._lock)
            raise Conflict(f"another amelia start works on {folder.name}; wait for it, or end it first")
        self._file = (folder / FILE).open("a+b")
        self._file.seek(0)
        self._file.truncate(max((end for _, end in self.read(self._file)), default=0))

    def append(self, event: Event) -> None:
        """Stamps, keeps and shows it, without secrets. A fact that is already there changes nothing."""
        if event.fact and self.workflow is not None and event.fact <= self.workflow.fact:
            return
        stamped = replace(ours().value(event), timestamp=event.timestamp or now(), attempt=self._attempt(event))
        self._file.write(encode(stamped) + b"\n")
        self._file.flush()
        if stamped.fact or not stamped.ordinal:
            os.fsync(self._file.fileno())
        before = self.workflow
        self.fold(stamped)
        if self.changed is not None and before is not None:
            self.changed(before, self.row, stamped.timestamp)
        self._shown.show(self.row.sequence, cast("e.AnyEvent", stamped))

    def close(self) -> None:
        self._file.close()
        os.close(self._lock)

    def _attempt(self, event: Event) -> int:
        here = self.workflow.epoch if self.workflow is not None else 0
        return event.attempt or (here if isinstance(event, e.RuntimeFact | e.RuntimeProgress) else 0)


class Announcer:
    """Takes a run's facts and progress into its record, and what it learnt to where the next run finds it."""

    def __init__(self, record: Record, lessons: "LocalLessons") -> None:
        self._record = record
        self._lessons = lessons

    async def facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            if isinstance(fact, e.LessonLearnt):
                self._lessons.learn(learnt(self._record.row, ours().value(fact)))
            self._record.append(fact)

    def progress(self, event: Event) -> None:
        if not isinstance(event, e.RuntimeHeartbeat):
            self._record.append(event)


def _taken(lock: int) -> bool:
    """Tried again for a moment: who only looks whether somebody holds it holds it meanwhile."""
    for pause in (0.02, 0.1, 0.0):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
