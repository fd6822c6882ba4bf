"""Plans a workflow has proposed, and how one differs from another."""

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from amelia.contract import events as e
from amelia.contract.codec import decode_event
from amelia.contract.plan import Plan
from amelia.contract.workflow import ClaimCheck
from amelia.domain.plan import changes
from amelia.domain.workflow import Block
from amelia.errors import Conflict, Malformed, NotFound
from amelia.ports.agents import ObjectStore
from amelia.ports.journal import Journal

_PAGE = 200
_MOST_CHANGES = 16_000
"""Characters of a diff that an error carries."""
_MOST_NAMED = 5


class PlanChanged(Conflict):
    """A decision named an older plan; ``changes`` is a unified diff from it to the one that waits."""

    def __init__(self, text: str, changes: str) -> None:
        super().__init__(text)
        self.changes = changes


async def plan_of(block: Block | e.WorkflowBlocked, objects: ObjectStore) -> Plan:
    """Raises ``NotFound``, ``Malformed`` or ``Unavailable`` when it was too large to travel and cannot be read."""
    if block.plan is not None:
        return block.plan
    assert block.plan_claim is not None, "a block has its plan or a claim to it"
    return await _claimed(block.plan_claim, objects)


async def _claimed(claim: ClaimCheck, objects: ObjectStore) -> Plan:
    try:
        return msgspec.json.decode(await objects.get(claim), type=Plan)
    except msgspec.DecodeError as error:
        raise Malformed(f"what lies under {claim.key} is no plan: {error}; revise the plan to have another") from error


async def previous_plan(journal: Journal, objects: ObjectStore, workflow_id: str, previous: Block) -> Plan | None:
    """Of the block that the last revision replaced, from the event that brought it; None when it cannot be read."""
    for stored in await journal.events({workflow_id: previous.sequence - 1}, 1):
        event = decode_event(stored.body)
        if isinstance(event, e.WorkflowBlocked) and event.plan_sha256 == previous.plan_sha256:
            with suppress(NotFound, Malformed):
                return await plan_of(event, objects)
    return None


async def stale(
    journal: Journal, objects: ObjectStore, workflow_id: str, block: Block, block_id: str, plan_sha256: str
) -> Conflict | None:
    """What to answer to a decision about ``plan_sha256`` or ``block_id`` while ``block`` waits; None when that is the
    one they name."""
    other_plan = plan_sha256 not in ("", block.plan_sha256)
    if not other_plan and block_id in ("", block.event_id):
        return None
    said = f"the plan of {workflow_id} is {block.plan_sha256} now"
    older = await _found(journal, workflow_id, block_id, plan_sha256)
    if older is None:
        named = f"plan {plan_sha256}" if other_plan else f"block {block_id}"
        return Conflict(f"{said}, and no {named[:80]} was ever proposed; look at its plan again and decide that")
    if older.plan_sha256 == block.plan_sha256:
        return Conflict(f"{said}, proposed again in another block ({block.event_id}); look at it and decide that")
    before, after = await plan_of(older, objects), await plan_of(block, objects)
    since = f"since {older.plan_sha256[:12]} {differences(before, after)}"
    return PlanChanged(f"{said}: {since}; look at it again and decide that", changes(before, after)[:_MOST_CHANGES])


async def _found(journal: Journal, workflow_id: str, block_id: str, plan_sha256: str) -> e.WorkflowBlocked | None:
    after, found = 0, None
    while rows := await journal.sought(workflow_id, "workflow_blocked", after, _PAGE):
        after = rows[-1].sequence
        for row in rows:
            event = decode_event(row.body)
            if isinstance(event, e.WorkflowBlocked) and (
                event.plan_sha256 == plan_sha256 if plan_sha256 else event.id == block_id
            ):
                found = event
    return found


def differences(before: Plan, after: Plan) -> str:
    """In a few words: which tasks came, went and changed."""
    old, new = ({task.id: task for task in plan.tasks} for plan in (before, after))
    said = [
        *_tasks((id_ for id_ in new if id_ not in old), "added"),
        *_tasks((id_ for id_ in old if id_ not in new), "removed"),
        *_tasks((id_ for id_ in new if id_ in old and new[id_] != old[id_]), "changed"),
    ]
    return ", ".join(said) or "its summary or its tests changed"


def _tasks(ids: Iterable[str], verb: str) -> list[str]:
    names = list(ids)
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    plural = "s" if len(names) > 1 else ""
    return [f"task{plural} {', '.join(names[:_MOST_NAMED])}{more} {'were' if plural else 'was'} {verb}"]
