"""A workflow as people see it, on a fleet and in a terminal alike."""

from datetime import datetime

from ..contract.views import LessonView, WorkflowView
from .lessons import KeptLesson
from .workflow import Workflow, total


def workflow_view(w: Workflow, created_at: str, updated_at: str) -> WorkflowView:
    """The times are UTC, ISO 8601: whoever recorded the workflow knows them."""
    return WorkflowView(
        id=w.id,
        status=w.status,
        phase=w.phase,
        reason=w.reason,
        issue=w.issue,
        repository=w.repository,
        base=w.base,
        branch=w.branch,
        commit=w.commit,
        owner=w.owner,
        profile=w.profile.name,
        auto_approve=w.auto_approve,
        attempt=w.epoch,
        sequence=w.sequence,
        block_id=w.block.event_id if w.block else "",
        plan_sha256=w.block.plan_sha256 if w.block else "",
        spent=total(w.spent),
        created_at=created_at,
        updated_at=updated_at,
        priority=w.priority,
        budget=w.budget,
        requires=w.block.requires if w.block and w.status == "blocked" else "",
        unresolved=w.block.unresolved if w.block and w.status == "blocked" else w.unresolved,
        deadline=w.block.deadline if w.block and w.status == "blocked" else "",
        pull_request=w.pull_request,
        messages=w.messages,
    )


def lesson_view(kept: KeptLesson) -> LessonView:
    return LessonView(
        id=kept.id,
        repository=kept.repository,
        topic=kept.topic,
        text=kept.text,
        workflow_id=kept.workflow_id,
        learnt_at=iso(kept.learnt_at),
    )


def iso(moment: datetime) -> str:
    """UTC, to the millisecond, as every view has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
