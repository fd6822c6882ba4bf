"""What has to be true at the end of every journey."""

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain.workflow import Workflow

from .script import TASKS
from .world import Fleet

_UNREST = """
SELECT 'outbox' AS what, workflow_id AS id, body AS detail FROM outbox
UNION ALL SELECT 'early', workflow_id, body FROM held_event WHERE kind = 'early'
UNION ALL SELECT 'lease', id, status FROM workflow WHERE lease_until IS NOT NULL AND status <> 'in_progress'
UNION ALL SELECT 'gap', id, status FROM workflow WHERE gap_since IS NOT NULL
UNION ALL SELECT 'working', id, status FROM workflow WHERE status IN ('pending', 'in_progress', 'approved')
"""


async def check_rest(fleet: Fleet) -> None:
    """Everything comes to rest; then everything that was ever said comes again, and nothing changes."""
    await _settled(fleet)
    before = await _rows(fleet), fleet.branches()
    fleet.events.carry_all_again()
    fleet.commands.carry_all_again()
    await _settled(fleet)
    assert (await _rows(fleet), fleet.branches()) == before
    assert fleet.watch.looks
    assert not fleet.watch.orphans
    assert not fleet.watch.changed
    assert not fleet.events.dead
    assert not fleet.commands.dead
    for workflow_id in before[0]:
        check_order([*await fleet.story(workflow_id)])
        assert fleet.machines.crashes or not fleet.machines.left_behind(workflow_id)


async def check_completed(fleet: Fleet, *workflow_ids: str) -> None:
    """Each exactly once: each task, one hand-in, one branch with a commit for each task."""
    branches = fleet.branches()
    for workflow_id in workflow_ids:
        w = await fleet.look(workflow_id)
        said = [event for _, event in await fleet.story(workflow_id)]
        done = [event for event in said if isinstance(event, e.TaskCompleted)]
        assert [(event.task_id, event.status) for event in done] == [(task, "completed") for task in TASKS]
        for kind in (e.WorkflowBlocked, e.WorkflowApproved, e.WorkHandedIn, e.WorkflowCompleted, e.BranchPushed):
            assert len([event for event in said if isinstance(event, kind)]) == 1, kind
        assert (w.status, branches[w.branch]) == ("completed", w.commit)
        brought = fleet.git("log", "--reverse", "-p", "--no-renames", "--format=", f"main..{w.commit}").splitlines()
        added = [line for line in brought if line.startswith("+")]
        assert added == [line for task in TASKS for line in (f"+++ b/{task}.py", f"+{task} = '{task} ✓'")]
        assert not fleet.machines.lives(workflow_id)


def check_order(story: list[tuple[int, Event]]) -> None:
    assert [sequence for sequence, _ in story] == [*range(1, len(story) + 1)]
    facts = [event.fact for _, event in story if event.fact]
    assert facts == [*range(1, len(facts) + 1)]
    _check_progress([event for _, event in story])


def _check_progress(said: list[Event]) -> None:
    """Within an attempt in order, behind the fact it names, and every hole is said."""
    fact = attempt = ordinal = 0
    for event in said:
        fact = max(fact, event.fact)
        match event:
            case e.AttemptOpened():
                attempt, ordinal = event.attempt, 0
            case e.EventsMissing():
                assert (event.of_attempt, event.first) == (attempt, ordinal + 1)
                ordinal = event.last
            case e.AgentMessage() | e.ToolCalled() | e.ToolCompleted():
                assert (event.attempt, event.ordinal) == (attempt, ordinal + 1)
                assert event.last_fact <= fact
                ordinal = event.ordinal


async def _settled(fleet: Fleet) -> None:
    async def at_rest() -> bool:
        return fleet.events.idle and fleet.commands.idle and not await fleet.sql(_UNREST)

    async def why() -> str:
        return "\n".join(["it does not come to rest", *map(str, await fleet.sql(_UNREST))])

    await fleet.eventually(at_rest, why)


async def _rows(fleet: Fleet) -> dict[str, tuple[object, ...]]:
    """What stays as it is. Tokens are counted whenever they are heard of."""
    ids = [row["id"] for row in await fleet.sql("SELECT id FROM workflow ORDER BY id")]
    return {id_: _lasting(await fleet.look(id_)) for id_ in ids}


def _lasting(w: Workflow) -> tuple[object, ...]:
    return w.status, w.reason, w.sequence, w.epoch, w.fact, w.commit, w.decision
