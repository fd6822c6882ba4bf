"""Workflows and events to measure with: as a runtime would say them."""

import asyncio
from collections.abc import Sequence

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import new_id, new_workflow_id
from amelia.contract.signature import attempt_key, sign
from amelia.contract.workflow import Issue
from amelia.domain.effects import Arrived
from amelia.domain.workflow import Workflow
from amelia.ports.journal import Journal

_TEXT = "I look at where the totals are summed and round once, at the end. " * 2


def start(workflow_id: str = "") -> c.StartWorkflow:
    issue = Issue(id="bench", title="Totals are a cent short", body="Rounded before they are summed.")
    return c.StartWorkflow(
        id=new_id(),
        workflow_id=workflow_id or new_workflow_id(),
        actor="bench",
        issue=issue,
        repository="https://git.example.com/a.git",
    )


async def working(journal: Journal, count: int) -> list[str]:
    """Workflows with an open attempt."""
    commands = [start() for _ in range(count)]
    await asyncio.gather(*(journal.execute(command) for command in commands))
    for command in commands:
        await journal.record(command.workflow_id, opened)
    return [command.workflow_id for command in commands]


def opened(w: Workflow, now: str) -> tuple[Event, ...]:
    epoch = w.epoch + 1
    return (
        e.AttemptOpened(id=new_id(), workflow_id=w.id, timestamp=now, attempt=epoch, lease_seconds=600, key_version=1),
    )


def message(workflow_id: str, ordinal: int) -> e.AgentMessage:
    """One piece of streamed text, about 500 bytes as JSON when it is signed."""
    return e.AgentMessage(
        id=new_id(),
        workflow_id=workflow_id,
        attempt=1,
        ordinal=ordinal,
        timestamp="2027-01-15T09:30:00.000Z",
        agent="developer",
        content=_TEXT,
        task_id="round-once",
    )


def signed(event: e.AgentMessage, master: bytes) -> e.AgentMessage:
    return sign(event, attempt_key(master, event.workflow_id, event.attempt))


def arrived(event: Event) -> Arrived:
    return Arrived(event=event, body=codec.encode(event).decode())


def rounds(workflow_ids: Sequence[str], first: int, last: int) -> list[Arrived]:
    """Of every workflow one event after the other, ``first`` to ``last``."""
    return [arrived(message(w, ordinal)) for ordinal in range(first, last + 1) for w in workflow_ids]
