"""What a workflow takes up: a place among those in progress, and paths of its repository."""

from ..contract.workflow import Budget
from .workflow import Workflow

EVERYTHING = "**"


def holds_place(w: Workflow) -> bool:
    """A takeover keeps its place; what waits for a person, or is decided and queued, holds none."""
    return w.status == "in_progress" or (w.status == "pending" and w.admitted)


def allowance(w: Workflow) -> Budget:
    """What it may have spent in all: as far as was reserved while it holds a place, else its own budget."""
    return w.cap if holds_place(w) else w.budget


def paths(w: Workflow) -> tuple[str, ...] | None:
    """The files that the approved plan (or part of it) is about, from the approval to the end; ``**`` when a task does
    not say. None while there is no approval."""
    if w.ended or w.decision is None or not (w.decision.kind == "approved" or _sent_back(w)):
        return None
    if w.block is None or w.block.plan is None:
        return (EVERYTHING,)
    tasks = [t for t in w.block.plan.tasks if not w.decision.tasks or t.id in w.decision.tasks]
    if not tasks or not all(t.files for t in tasks):
        return (EVERYTHING,)
    return tuple(sorted({file for t in tasks for file in t.files}))


def _sent_back(w: Workflow) -> bool:
    """To the Developer: the plan stays the one that was approved."""
    return w.block is not None and w.block.requires == "review"
