"""The changes there are: execute a command, take runtime events, record what the control plane found, close a gap."""

from collections.abc import Sequence

from msgspec.structs import replace

from ..contract import codec
from ..contract import events as e
from ..contract.commands import AnyCommand
from ..contract.envelope import Event
from ..contract.ids import derive_id
from ..errors import NotFound, Refused
from . import intake, policy, timers
from .consequences import attend, follow_up, look_again, lost
from .decide import decide
from .effects import Arrived, Change, Effects, Executing, Held, Reading, Seen
from .evolve import evolve, spending, submitted
from .workflow import Workflow, beyond

_BEYOND = 1.1


def executing(command: AnyCommand, fingerprint: str) -> Change:
    """The command, what it makes true, and the order to the dispatcher, all or nothing."""

    def compute(seen: Seen) -> Effects | None:
        if seen.fingerprint is not None:
            if seen.fingerprint != fingerprint:
                raise Refused("this idempotency key came before with another body; use a new key for a new request")
            return None
        events = decide(seen.workflow, command, seen.now)
        executed = Executing(command=command, fingerprint=fingerprint)
        if not events:
            assert seen.workflow is not None, "what is not there was not done before"
            return Effects(workflow=seen.workflow, executed=executed, behind=bool(seen.waiting), only_life=True)
        effects = control(seen.workflow, events, seen.now, behind=bool(seen.waiting))
        return replace(effects, commands=(look_again(command), *effects.commands), executed=executed)

    return Change(workflow_id=command.workflow_id, compute=compute, command_id=command.id)


def recording(workflow_id: str, reading: Reading, settles: tuple[str, ...]) -> Change:
    """What the dispatcher or the sweeper found true of the row under its lock."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None:
            raise NotFound(f"there is no workflow {workflow_id}")
        events = reading(seen.workflow, seen.now)
        effects = control(seen.workflow, events, seen.now, behind=bool(seen.waiting))
        return replace(effects, settles=settles) if events or settles else None

    return Change(workflow_id=workflow_id, compute=compute)


def appending(workflow_id: str, arrived: Sequence[Arrived], rules: policy.Policy = policy.OPEN) -> Change:
    """A batch of one workflow's runtime events. Any valid one of the current attempt renews the lease. ``rules`` decide
    a plan among them, where the workflow leaves it to them."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None:
            raise NotFound(f"there is no workflow {workflow_id}")
        return _append(seen.workflow, seen, arrived, rules)

    return Change(workflow_id=workflow_id, compute=compute)


def _append(workflow: Workflow, seen: Seen, arrived: Sequence[Arrived], rules: policy.Policy) -> Effects:
    bodies = {id(a.event): a.body for a in arrived}
    waiting = [(codec.decode_event(body), body) for body in seen.waiting]
    bodies.update({id(event): body for event, body in waiting})
    numbered = [a.event for a in arrived if not isinstance(a.event, e.RuntimeHeartbeat)]
    counted = workflow
    for one in arrived:
        if isinstance(one.event, e.RuntimeHeartbeat):
            counted = spending(counted, one.event.attempt, one.event.used)
    took = intake.take(counted, [*(event for event, _ in waiting), *numbered])
    effects = _admitted(took, bodies, seen.now, rules)
    alive = [a.event for a in arrived if a.event.attempt == workflow.epoch]
    announced = max((event.last_fact for event in alive), default=0)
    early = tuple(Held(kind="early", event=event, body=bodies[id(event)]) for event in took.early)
    kept = [Held(kind="stale", event=event, body=bodies[id(event)]) for event in took.stale]
    kept += [Held(kind="late", event=event, body=bodies[id(event)]) for event in took.late]
    return replace(
        effects,
        early=early if early or seen.waiting else None,
        kept=tuple(kept),
        renew=bool(alive),
        progress=bool(took.admitted),
        only_life=effects.workflow is workflow,
        behind=bool(early) or (effects.workflow.open and announced > effects.workflow.fact),
    )


def _admitted(took: intake.Intake, bodies: dict[int, str], now: str, rules: policy.Policy) -> Effects:
    """The admitted events as rows, what the policy decides about a plan among them, and what follows."""
    rows = [(sequence, event.id, codec.type_of(event), bodies[id(event)]) for sequence, event in took.admitted]
    commands = [c for _, event in took.admitted if (c := follow_up(took.workflow, event)) is not None]
    workflow = timers.begun(took.workflow, now)
    said = tuple(event for event in (_fence(workflow, now), _judged(took, workflow, rules, now)) if event is not None)
    if not said:
        return Effects(workflow=workflow, events=tuple(rows), commands=tuple(commands))
    decided = control(workflow, said, now)
    return replace(decided, events=(*rows, *decided.events), commands=(*commands, *decided.commands))


def _judged(took: intake.Intake, workflow: Workflow, rules: policy.Policy, now: str) -> Event | None:
    if not any(isinstance(event, e.WorkflowBlocked) for _, event in took.admitted):
        return None
    return policy.decision(workflow, rules, now)


def _fence(workflow: Workflow, now: str) -> e.WorkflowPaused | None:
    """A runtime stops by itself before it passes its budget. One that has passed it by a tenth does not obey."""
    if not workflow.open or not beyond(workflow, _BEYOND):
        return None
    return e.WorkflowPaused(
        id=derive_id(workflow.id, f"beyond-budget/{workflow.epoch}"),
        workflow_id=workflow.id,
        timestamp=now,
        correlation_id=workflow.correlation_id,
        kind="budget",
        paused_by="the control plane",
        reason="more than its budget is spent; resume it with a larger one",
    )


def closing_gap(workflow_id: str, rules: policy.Policy = policy.OPEN) -> Change:
    """Says what progress is missing and admits what waited behind it. A missing fact stays missing."""

    def compute(seen: Seen) -> Effects | None:
        if seen.workflow is None or not seen.waiting:
            return None
        missing = intake.gap(seen.workflow, [codec.decode_event(body) for body in seen.waiting])
        if missing is None:
            return _append(seen.workflow, seen, (), rules)
        said = control(seen.workflow, (replace(missing, timestamp=seen.now),), seen.now)
        behind = _append(said.workflow, seen, (), rules)
        return replace(
            behind,
            events=(*said.events, *behind.events),
            commands=(*said.commands, *behind.commands),
            publish=(*said.publish, *behind.publish),
            only_life=False,
        )

    return Change(workflow_id=workflow_id, compute=compute)


def expiring(workflow_id: str, max_attempts: int) -> Change:
    """Takes an attempt whose lease ran out for lost; one that was renewed meanwhile is left alone."""

    def compute(seen: Seen) -> Effects | None:
        w = seen.workflow
        if w is None or not w.open or not seen.lease_expired:
            return None
        gone = lost(w, "its lease ran out without a sign of life", max_attempts)
        return control(w, (gone,), seen.now, behind=bool(seen.waiting))

    return Change(workflow_id=workflow_id, compute=compute)


def waking(workflow_id: str) -> Change:
    """Ends a wait: what is parked is queued again, and the dispatcher told to look; a plan that nobody decides has its
    owner reminded, or is rejected."""

    def compute(seen: Seen) -> Effects | None:
        w = seen.workflow
        if w is None or not timers.next_wake(w) or timers.next_wake(w) > seen.now:
            return None
        events = timers.due(w, seen.now)
        if events or not w.parked_until:
            return control(w, events, seen.now, behind=bool(seen.waiting))
        order = attend(w.id, f"{w.id}/{w.parked_until}", w.correlation_id)
        return Effects(workflow=replace(w, parked_until=""), commands=(order,), behind=bool(seen.waiting))

    return Change(workflow_id=workflow_id, compute=compute)


def control(workflow: Workflow | None, events: Sequence[Event], now: str, *, behind: bool = False) -> Effects:
    """Control-plane events: recorded, followed up, and published from the outbox."""
    rows, commands = list[tuple[int, str, str, str]](), list[AnyCommand]()
    renew = False
    said = tuple(event if event.timestamp else replace(event, timestamp=now) for event in events)
    for event in said:
        workflow = _first(event) if workflow is None else evolve(workflow, event)
        rows.append((workflow.sequence, event.id, codec.type_of(event), codec.encode(event).decode()))
        command = follow_up(workflow, event)
        if command is not None:
            commands.append(command)
        renew = renew or isinstance(event, e.AttemptOpened)
    assert workflow is not None, "there is nothing to record"
    return Effects(
        workflow=timers.begun(workflow, now),
        events=tuple(rows),
        commands=tuple(commands),
        publish=said,
        renew=renew,
        progress=renew,
        behind=behind,
    )


def _first(event: Event) -> Workflow:
    assert isinstance(event, e.WorkflowSubmitted), "a workflow begins with its submission"
    return submitted(event)
