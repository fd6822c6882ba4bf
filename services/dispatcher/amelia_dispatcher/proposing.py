"""The pull request of a workflow: what it did, told to the people who will merge it."""

from collections.abc import AsyncIterator

import msgspec

from amelia.contract import codec
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.contract.plan import Plan
from amelia.domain.plan import part_of
from amelia.domain.report import body, gathered, title
from amelia.domain.workflow import Workflow, total
from amelia.ports.agents import ObjectStore
from amelia.ports.forge import Forge
from amelia.ports.journal import Journal
from amelia.redaction import ours

_PAGE = 500


async def propose(journal: Journal, objects: ObjectStore, forge: Forge, w: Workflow) -> e.PullRequestOpened:
    """Found or opened, never a second one. Raises ``Refused`` and ``Unavailable``."""
    told = [event async for event in _told(journal, w)]
    report = gathered(w.id, w.issue, await _plan(objects, w), total(w.spent), told)
    found = await forge.open_pull_request(
        w.repository,
        branch=w.branch,
        base=w.base,
        title=ours().text(title(report)),
        body=ours().text(body(report)),
        draft=report.draft,
        workflow_id=w.id,
    )
    return e.PullRequestOpened(
        id=derive_id(w.id, f"pull-request/{found.number}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        url=found.url,
        number=found.number,
        branch=w.branch,
        draft=found.draft,
        adopted=found.adopted,
    )


async def _plan(objects: ObjectStore, w: Workflow) -> Plan | None:
    """The part of it that was approved."""
    if w.block is None:
        return None
    plan = w.block.plan
    if plan is None and w.block.plan_claim is not None:
        plan = msgspec.json.decode(await objects.get(w.block.plan_claim), type=Plan)
    tasks = w.decision.tasks if w.decision else ()
    return part_of(plan, tasks) if plan is not None and tasks else plan


async def _told(journal: Journal, w: Workflow) -> AsyncIterator[Event]:
    """What the agents found, page by page, and where it was begun anew: a pull request is opened once."""
    after = 0
    while rows := await journal.events({w.id: after}, _PAGE):
        for row in rows:
            event = codec.decode_event(row.body)
            if event.fact or isinstance(event, e.WorkflowRetried):
                yield event
        after = rows[-1].sequence
