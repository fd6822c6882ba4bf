"""What happened to a workflow that is worked here: its events, one JSON object a line, and the row folded from them."""

import fcntl
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.codec import decode_event, encode
from amelia.contract.envelope import Event
from amelia.contract.views import WorkflowView
from amelia.domain.evolve import evolve, submitted
from amelia.domain.shown import workflow_view
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, Malformed, Refused

from .views import View


class Record:
    """The events of one workflow in ``folder``, held by one process at a time. Call ``close`` in the end.

    ``proposed`` are the plans there were. Raises ``Conflict`` when another process works on it.
    """

    def __init__(self, folder: Path, shown: View) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.workflow: Workflow | None = None
        self._shown = shown
        self.proposed: list[e.WorkflowBlocked] = []
        self._times: list[str] = []
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Conflict(f"another amelia start works on {folder.name}; wait for it, or end it first") from None
        self._file = (folder / "events.jsonl").open("a+b")
        self._read()

    @property
    def row(self) -> Workflow:
        assert self.workflow is not None, "nothing has been submitted"
        return self.workflow

    def append(self, event: Event) -> None:
        """Stamps, keeps and shows it. A fact that is already there changes nothing."""
        if event.fact and self.workflow is not None and event.fact <= self.workflow.fact:
            return
        stamped = replace(event, timestamp=event.timestamp or now(), attempt=self._attempt(event))
        self._file.write(encode(stamped) + b"\n")
        self._file.flush()
        if stamped.fact or not stamped.ordinal:
            os.fsync(self._file.fileno())
        self._fold(stamped)
        self._shown.show(self.row.sequence, cast("e.AnyEvent", stamped))

    def view(self) -> WorkflowView:
        """As a fleet would show it."""
        return workflow_view(self.row, self._times[0], self._times[-1])

    def close(self) -> None:
        self._file.close()
        os.close(self._lock)

    def _attempt(self, event: Event) -> int:
        here = self.workflow.epoch if self.workflow is not None else 0
        return event.attempt or (here if isinstance(event, e.RuntimeFact | e.RuntimeProgress) else 0)

    def _fold(self, event: Event) -> None:
        if self.workflow is None:
            if not isinstance(event, e.WorkflowSubmitted):
                raise Refused(f"{self.folder}/events.jsonl does not begin with a submission; remove it, or give --new")
            self.workflow = submitted(event)
        else:
            self.workflow = evolve(self.workflow, event)
        self._times.append(event.timestamp)
        if isinstance(event, e.WorkflowBlocked):
            self.proposed.append(event)

    def _read(self) -> None:
        """A last line that was cut off by a crash was never acted upon and is removed."""
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            try:
                self._fold(decode_event(line))
            except Malformed as error:
                raise Refused(f"{self.folder}/events.jsonl is broken: {error}; begin again with --new") from error
            whole += len(line)
        self._file.truncate(whole)


class Announcer:
    """Takes a run's facts and progress into its record."""

    def __init__(self, record: Record) -> None:
        self._record = record

    async def facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            self._record.append(fact)

    def progress(self, event: Event) -> None:
        if not isinstance(event, e.RuntimeHeartbeat):
            self._record.append(event)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
