"""After the storm: everything has come to an end, and what is left agrees with what was promised."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain.workflow import Workflow, total

from .watch import ENDED

if TYPE_CHECKING:
    from .world import World


def at_rest(world: "World") -> bool:
    tables = world.database.tables
    return (
        not tables.outbox
        and not any(record.gap_since for record in tables.workflows.values())
        and not world.commands.entries
        and not world.events.entries
        and not any(container.busy for container in world.platform.running())
        and not _unwanted(world)
        and all(reader.seen == _reached(world, reader.workflow_id) for reader in world.readers)
    )


def _reached(world: "World", workflow_id: str) -> int:
    record = world.database.tables.workflows.get(workflow_id)
    return record.workflow.sequence if record else 0


def unsettled(world: "World") -> None:
    for record in world.database.tables.workflows.values():
        w = record.workflow
        if w.status not in ENDED:
            world.watch.broken("I1", f"{w.id} is still {w.status} and {w.phase or 'idle'}: {w.reason}")
    if not world.watch.violations:
        world.watch.broken("I1", "everything ended, and somebody still waits for an answer")


def _unwanted(world: "World") -> list[str]:
    """The workflows with a session although nothing is to run. A completed one's may idle out."""
    workflows = world.database.tables.workflows
    running = (workflows[container.workflow_id].workflow for container in world.platform.running())
    return [w.id for w in running if w.status in ("blocked", "paused", "cancelled", "failed")]


def sessions_end(world: "World") -> None:
    """Nothing runs of what waits for a person or was ended, a while after the storm."""
    for id_ in _unwanted(world) if world.calm_since is not None else ():
        since = world.loop.time() - max(world.calm_since or 0, world.watch.since[id_])
        if since > world.settings.lease_seconds + 120:
            world.watch.broken("I8", f"nothing of {id_} is to run for {since:.0f} s, and its session is still there")


def timers_strike(world: "World") -> None:
    """What is due is done, a while after the storm."""
    calm = world.loop.time() - (world.calm_since or 0)
    if world.calm_since is None or calm < 45:
        return
    for record in world.database.tables.workflows.values():
        if record.gap_since and (world.clock.now() - record.gap_since).total_seconds() > 45:
            world.watch.broken("I3", f"something of {record.workflow.id} is missing, and nobody asks for it")
        if calm > 60 and record.wake_at and (world.clock.now() - record.wake_at).total_seconds() > 60:
            world.watch.broken("I9", f"nobody has looked at {record.workflow.id} since its time came")


def final(world: "World") -> None:
    _everything_rests(world)
    _poison_is_buried(world)
    for client in world.clients:
        record = world.database.tables.workflows.get(client.workflow_id)
        accepted = [given.command for given in client.given if given.accepted]
        if record is None:
            if accepted:
                world.watch.broken("I1", f"{client.workflow_id} was accepted and is not there")
            continue
        shown = [codec.decode_event(x.body) for x in world.database.tables.events[client.workflow_id]]
        _commands_counted(world, record.workflow, accepted, shown)
        _ended_with_cause(world, record.workflow, shown)
        _decided_once(world, record.workflow, shown)
        _done_once(world, record.workflow, shown)
        _delivered_once(world, record.workflow)
        if not any(isinstance(event, e.WorkflowRetried) for event in shown):
            _nothing_left_of_a_cancelled_one(world, record.workflow, shown)
        _paid_for(world, record.workflow)


def _everything_rests(world: "World") -> None:
    tables, broken = world.database.tables, world.watch.broken
    for reader in world.readers:
        if reader.seen != _reached(world, reader.workflow_id):
            reached = _reached(world, reader.workflow_id)
            broken("I3", f"a reader of {reader.workflow_id} was shown {reader.seen} of {reached} events")
    for row in tables.outbox.values():
        broken("I1", f"{row.body[:60]} for {row.workflow_id} is still sent, the {row.publishes}th time")
    for record in tables.workflows.values():
        if record.gap_since:
            broken("I3", f"something of {record.workflow.id} waits for what never comes, and is never shown")
    for queue in (world.commands, world.events):
        if queue.entries:
            broken("I1", f"{len(queue.entries)} messages are left in {queue.name}")
    for container in world.platform.running():
        if container.busy or container.workflow_id in _unwanted(world):
            broken("I8", f"a session is still there for {container.workflow_id}")


def _poison_is_buried(world: "World") -> None:
    """What no consumer can use is a dead letter with its cause; what queues lost need not be, and nothing else is."""
    graves = {(grave.letter.source, grave.letter.body): grave.letter for grave in world.database.tables.graves.values()}
    for source, body in sorted(world.poison.keys() - graves.keys()):
        world.watch.broken("I10", f"{body[:200]!r} of {source} is gone without a dead letter")
    for (source, body), letter in graves.items():
        if (source, body) not in world.poison and (source, body) not in world.lost:
            world.watch.broken("I1", f"{body[:200]!r} of {source} became a dead letter: {letter.cause}")
        if not letter.cause:
            world.watch.broken("I10", f"{body[:200]!r} of {source} is a dead letter without a cause")


def _commands_counted(world: "World", w: Workflow, accepted: list[c.AnyCommand], shown: Sequence[Event]) -> None:
    caused = Counter((event.causation_id, codec.type_of(event)) for event in shown if not event.attempt)
    for command in accepted:
        for (cause, kind), times in caused.items():
            if cause == command.id and times > 1:
                world.watch.broken("I1", f"{command.id} counted {times} times as {kind}")
    if any(isinstance(command, c.RetryWorkflow) for command in accepted):
        return
    if any(isinstance(command, c.CancelWorkflow) for command in accepted) and w.status != "cancelled":
        world.watch.broken("I8", f"{w.id} was cancelled and is {w.status}")
    if any(isinstance(command, c.RejectWorkflow) for command in accepted) and w.status == "completed":
        world.watch.broken("I6", f"{w.id} was rejected and completed")


def _ended_with_cause(world: "World", w: Workflow, shown: Sequence[Event]) -> None:
    if w.status != "completed" and not w.reason:
        world.watch.broken("I10", f"{w.id} is {w.status} without a cause")
    for event in shown:
        if isinstance(event, e.RuntimeLost) and not event.cause:
            world.watch.broken("I10", f"{w.id} lost an attempt without a cause")


def _decided_once(world: "World", w: Workflow, shown: Sequence[Event]) -> None:
    blocks = [event.id for event in shown if isinstance(event, e.WorkflowBlocked)]
    since_retry: list[str] = []
    for event in shown:
        if isinstance(event, e.WorkflowRetried):
            since_retry = []
        elif isinstance(event, e.WorkflowApproved | e.WorkflowRejected | e.WorkflowRevised):
            if event.block_id not in blocks:
                world.watch.broken("I6", f"{w.id} has a decision about a block it never had")
            if event.block_id in since_retry:
                world.watch.broken("I6", f"a block of {w.id} was decided twice")
            since_retry.append(event.block_id)


def _done_once(world: "World", w: Workflow, shown: Sequence[Event]) -> None:
    """A finished task is not finished again, unless the workflow is begun anew."""
    done = set[str]()
    for event in shown:
        if isinstance(event, e.WorkflowRetried) and event.start:
            done.clear()
        elif isinstance(event, e.TaskCompleted):
            if event.task_id in done:
                world.watch.broken("I3", f"{event.task_id} of {w.id} was finished twice")
            done.add(event.task_id)


def _delivered_once(world: "World", w: Workflow) -> None:
    """A commit is pushed again only as often as it was taken back: after a cancel that a retry undid."""
    pushes = [pushed for pushed in world.ledger.pushes if pushed.workflow_id == w.id]
    times = Counter(pushed.commit for pushed in pushes)
    twice = any(n > 1 + world.ledger.withdrawn[pushed] for pushed, n in times.items())
    if len({pushed.branch for pushed in pushes}) > 1 or twice:
        world.watch.broken("I5", f"{w.id} was pushed {len(pushes)} times")
    there = world.remote.branches.get((w.repository, w.branch))
    if w.status == "completed" and (there is None or there.commit != w.commit):
        world.watch.broken("I5", f"{w.id} is completed at {w.commit} and its branch is at {there}")

    requests = [x for x in world.remote.requests.get(w.repository, ()) if x.branch == w.branch]
    if sum(x.open for x in requests) > 1:
        world.watch.broken("I5", f"{w.id} has {len(requests)} pull requests")
    if w.pull_request is not None and w.pull_request.number not in [x.number for x in requests]:
        world.watch.broken("I5", f"the pull request of {w.id} is not there")


def _nothing_left_of_a_cancelled_one(world: "World", w: Workflow, shown: Sequence[Event]) -> None:
    """What was recorded before it was cancelled may stay; nothing else."""
    if w.status != "cancelled":
        return
    if (w.repository, w.branch) in world.remote.branches and not any(isinstance(x, e.BranchPushed) for x in shown):
        world.watch.broken("I8", f"{w.id} was cancelled and its branch is there")
    if world.remote.request(w.repository, w.branch) and not any(isinstance(x, e.PullRequestOpened) for x in shown):
        world.watch.broken("I8", f"{w.id} was cancelled and its pull request is open")


def _paid_for(world: "World", w: Workflow) -> None:
    paid, counted = world.ledger.spent.get(w.id), total(w.spent)
    if counted.cost_microdollars > (paid.cost_microdollars if paid else 0):
        world.watch.broken("I7", f"{w.id} counts {counted.cost_microdollars} and paid {paid}")
