"""Decisions about a plan: each names the block and the plan that its giver has seen."""

from ..contract import commands as c
from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from ..contract.plan import plan_sha256
from ..errors import Conflict
from .plan import part_of
from .workflow import Block, Workflow

_Decision = c.ApproveWorkflow | c.RejectWorkflow | c.ReviseWorkflow


def approved(w: Workflow, command: c.ApproveWorkflow, now: str) -> tuple[Event, ...]:
    if _already(w, command, "approved"):
        return ()
    block, sha256 = _named(w, command, "approved")
    return (
        e.WorkflowApproved(
            id=derive_id(command.id, "approved"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            block_id=block.event_id,
            plan_sha256=sha256,
            approved_by=command.actor,
            tasks=command.tasks if sha256 != block.plan_sha256 else (),
        ),
    )


def rejected(w: Workflow, command: c.RejectWorkflow, now: str) -> tuple[Event, ...]:
    if _already(w, command, "rejected"):
        return ()
    block, sha256 = _named(w, command, "rejected")
    return (
        e.WorkflowRejected(
            id=derive_id(command.id, "rejected"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            block_id=block.event_id,
            plan_sha256=sha256,
            rejected_by=command.actor,
            feedback=command.feedback,
        ),
    )


def revised(w: Workflow, command: c.ReviseWorkflow, now: str) -> tuple[Event, ...]:
    """Named as before and with the same feedback, it is the revision that is under way."""
    if _already(w, command, "revised") and w.decision is not None and w.decision.feedback == command.feedback:
        return ()
    block, sha256 = _named(w, command, "revised")
    return (
        e.WorkflowRevised(
            id=derive_id(command.id, "revised"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            block_id=block.event_id,
            plan_sha256=sha256,
            revised_by=command.actor,
            feedback=command.feedback,
        ),
    )


def _already(w: Workflow, command: _Decision, kind: str) -> bool:
    """The same decision about the same block a second time is no new decision."""
    decision = w.decision
    return (
        decision is not None
        and decision.kind == kind
        and w.status != "cancelled"
        and command.block_id in ("", decision.block_id)
        and command.plan_sha256 in ("", decision.plan_sha256, w.block.plan_sha256 if w.block else "")
        and (not isinstance(command, c.ApproveWorkflow) or _same_tasks(w, command.tasks, decision.tasks))
    )


def _same_tasks(w: Workflow, asked: tuple[str, ...], decided: tuple[str, ...]) -> bool:
    if not decided and asked and w.block and w.block.plan:
        return set(asked) == {task.id for task in w.block.plan.tasks}
    return set(asked) == set(decided)


def _named(w: Workflow, command: _Decision, verb: str) -> tuple[Block, str]:
    """The block that is decided, and the hash of what is decided of it."""
    block = w.block
    if w.status != "blocked" or block is None:
        raise Conflict(f"{w.id} is {w.status}; only blocked workflows can be {verb}")
    if command.block_id not in ("", block.event_id):
        raise Conflict(f"{w.id} waits at another block now ({block.event_id}); look at its plan again and decide that")
    if isinstance(command, c.ApproveWorkflow) and command.tasks and block.requires == "review":
        raise Conflict(f"the work of {w.id} waits, not its plan; approve or revise all of it")
    sha256 = _part(block, command) if isinstance(command, c.ApproveWorkflow) and command.tasks else block.plan_sha256
    if command.plan_sha256 not in ("", block.plan_sha256, sha256):
        raise Conflict(f"the plan of {w.id} is {block.plan_sha256} now; look at it again and decide that")
    return block, sha256


def _part(block: Block, command: c.ApproveWorkflow) -> str:
    """Raises ``Refused`` when the tasks are no part that can stand alone."""
    if block.plan is None:
        return command.part_sha256 or block.plan_sha256
    return plan_sha256(part_of(block.plan, command.tasks))
