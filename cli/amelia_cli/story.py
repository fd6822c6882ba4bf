"""What the events of a workflow that is worked here tell: one JSON object a line in ``events.jsonl``."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from amelia.contract import events as e
from amelia.contract.codec import decode_event
from amelia.contract.envelope import Event
from amelia.contract.plan import Plan
from amelia.contract.views import PlanView, WorkflowView
from amelia.domain.evolve import evolve, submitted
from amelia.domain.plan import changes
from amelia.domain.shown import workflow_view
from amelia.domain.workflow import Block, Workflow
from amelia.errors import Malformed, Refused
from amelia.ports.agents import ObjectStore

FILE, LOCK = "events.jsonl", "lock"


class Story:
    """Folded from its events in order. ``proposed`` are the blocks there were, ``voted`` those of which the policy has
    said that a person decides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workflow: Workflow | None = None
        self.proposed: list[e.WorkflowBlocked] = []
        self.voted: set[str] = set()
        self._times: list[str] = []

    @property
    def row(self) -> Workflow:
        assert self.workflow is not None, "nothing has been submitted"
        return self.workflow

    def fold(self, event: Event) -> None:
        if self.workflow is None:
            if not isinstance(event, e.WorkflowSubmitted):
                raise Refused(f"{self.folder}/{FILE} does not begin with a submission; remove it, or give --new")
            self.workflow = submitted(event)
        else:
            self.workflow = evolve(self.workflow, event)
        self._times.append(event.timestamp)
        if isinstance(event, e.WorkflowBlocked):
            self.proposed.append(event)
        elif isinstance(event, e.ApprovalVote):
            self.voted.add(event.block_id)

    def view(self) -> WorkflowView:
        """As a fleet would show it."""
        return workflow_view(self.row, self._times[0], self._times[-1])

    def read(self, file: BinaryIO) -> Iterator[tuple[Event, int]]:
        """Folds each event, and gives it with the place where its line ends. A last line that was cut off by a crash
        was never acted upon: it is left out."""
        end = 0
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = decode_event(line)
            except Malformed as error:
                raise Refused(f"{self.folder}/{FILE} is broken: {error}; begin again with --new") from error
            self.fold(event)
            end += len(line)
            yield event, end


async def plan_view(story: Story, block: Block, objects: ObjectStore) -> PlanView:
    """The plan of the block, with what changed since the one before the last revision."""
    row = story.row
    plan = await plan_of(block, objects)
    before = next((b for b in story.proposed if row.previous and b.id == row.previous.event_id), None)
    return PlanView(
        workflow_id=row.id,
        plan=plan,
        plan_sha256=block.plan_sha256,
        block_id=block.event_id,
        decision=row.decision,
        estimated_microdollars=block.estimated_microdollars,
        previous_sha256=before.plan_sha256 if before else "",
        changes=changes(await plan_of(before, objects), plan) if before else "",
        requires=block.requires,
        unresolved=block.unresolved,
    )


async def plan_of(block: Block | e.WorkflowBlocked, objects: ObjectStore) -> Plan:
    if block.plan is not None:
        return block.plan
    assert block.plan_claim is not None
    return msgspec.json.decode(await objects.get(block.plan_claim), type=Plan)
