"""An example of everything that the HTTP API and its streams give and take."""

from typing import Any

from .. import frames as f
from .. import views as v
from ..ids import derive_id
from ..workflow import Decision
from .example_story import (
    ACTOR,
    BLOCK_ID,
    BRANCH,
    BUDGET,
    COMMAND_ID,
    ISSUE,
    PLAN,
    PLAN_SHA256,
    PROFILE,
    REPOSITORY,
    SPENT,
    WORKFLOW,
    claim,
)


def views() -> tuple[Any, ...]:
    decision = Decision(kind="approved", block_id=BLOCK_ID, plan_sha256=PLAN_SHA256, by=ACTOR)
    view = v.WorkflowView(
        id=WORKFLOW,
        status="blocked",
        phase="",
        reason="the plan waits for approval",
        issue=ISSUE,
        repository=REPOSITORY,
        base="main",
        branch=BRANCH,
        commit="",
        owner=ACTOR,
        profile=PROFILE.name,
        auto_approve=False,
        attempt=1,
        sequence=7,
        block_id=BLOCK_ID,
        plan_sha256=PLAN_SHA256,
        spent=SPENT,
        created_at="2027-01-15T09:30:00.000Z",
        updated_at="2027-01-15T09:30:21.000Z",
    )
    return (
        v.StartRequest(issue=ISSUE, repository=REPOSITORY, base="main", profile=PROFILE),
        v.DecisionRequest(block_id=BLOCK_ID, plan_sha256=PLAN_SHA256),
        v.ReviseRequest(block_id=BLOCK_ID, plan_sha256=PLAN_SHA256, feedback="Leave the credit notes as they are."),
        v.PauseRequest(reason="the release is frozen"),
        v.ResumeRequest(budget=BUDGET),
        v.RetryRequest(start=True),
        v.MessageRequest(text="Round half up, not half even."),
        v.QueueView(in_progress=3, limit=3, waiting=1, items=(_queued(),)),
        view,
        v.WorkflowPage(items=(view,)),
        v.PlanView(workflow_id=WORKFLOW, plan=PLAN, plan_sha256=PLAN_SHA256, block_id=BLOCK_ID, decision=decision),
        v.UsageView(workflow_id=WORKFLOW, spent=SPENT, attempts={1: SPENT}, agents={"developer": SPENT}),
        v.ArtifactList(workflow_id=WORKFLOW, items=(_artifact(),)),
        _lesson(),
        v.LessonList(items=(_lesson(),)),
        _dead_letter(),
        v.DeadLetterPage(items=(_dead_letter(),)),
        v.Health(status="ok", checks={"journal": "ok"}),
        v.Problem(
            type="urn:amelia:problem:conflict",
            title="Conflict",
            status=409,
            detail=f"{WORKFLOW} is completed; only blocked workflows can be approved",
            instance=f"/api/v1/workflows/{WORKFLOW}/approve",
        ),
        v.CaughtUp(sequence=7),
        v.Ping(timestamp="2027-01-15T09:31:00.000Z"),
        f.FleetCaughtUp(cursor="90210-1187"),
        f.FleetPing(timestamp="2027-01-15T09:31:00.000Z", cursor="90214-0"),
    )


def _artifact() -> v.ArtifactView:
    work = claim("artifact", 1_204)
    return v.ArtifactView(
        name="work.diff",
        media_type="text/x-diff",
        size=work.size,
        sha256=work.sha256,
        stored_at="2027-01-15T09:30:57.000Z",
    )


def _lesson() -> v.LessonView:
    return v.LessonView(
        id=derive_id(WORKFLOW, "example/lesson"),
        repository="https://github.com/acme/shop",
        topic="tests",
        text="The tests are run with `python -m unittest`.",
        workflow_id=WORKFLOW,
        learnt_at="2027-01-15T09:30:57.000Z",
    )


def _dead_letter() -> v.DeadLetterView:
    return v.DeadLetterView(
        id=derive_id(WORKFLOW, "example/dead_letter"),
        source="commands",
        state="waiting",
        cause=f"there is no workflow {WORKFLOW}",
        receives=3,
        type="attend_workflow",
        message_id=COMMAND_ID,
        workflow_id=WORKFLOW,
        intact=True,
        first_at="2027-01-15T09:31:00.000Z",
        last_at="2027-01-15T09:31:02.000Z",
    )


def _queued() -> v.QueueItem:
    return v.QueueItem(
        workflow_id=WORKFLOW,
        title=ISSUE.title,
        owner=ACTOR,
        repository=REPOSITORY,
        priority=0,
        waiting_since="2027-01-15T09:30:00.000Z",
        place=v.QueuePlace(
            position=1,
            limit="3 of 3 workflows of ada are in progress",
            estimated_start="2027-01-15T09:42:00.000Z",
        ),
    )
