"""The commands that decide a plan."""

from typing import TYPE_CHECKING

import click

from amelia.contract.views import DecisionRequest, ReviseRequest
from amelia.errors import Conflict

from . import options
from .printing import clean, clean_block, document, paint_status, plan_lines
from .terminal import can_ask

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane
    from amelia.contract.plan import Plan
    from amelia.contract.views import PlanView, WorkflowView

_INSTEAD = {
    "paused": "amelia workflows resume {0} lets it go on",
    "completed": "amelia workflows diff {0} shows its work",
    "failed": "amelia workflows retry {0} tries it again",
    "cancelled": "amelia workflows retry {0} takes it up again",
}
_HASH = "Decide only if this is the plan."


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Approve this task only; may be repeated.")
@click.option("--plan-sha256", default="", metavar="HASH", help="Approve only if this is the plan; not asked then.")
@click.option("--yes", is_flag=True, help="Approve the plan there is, without asking.")
@options.order
def approve(
    workflow: str,
    tasks: tuple[str, ...],
    plan_sha256: str,
    yes: bool,
    key: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Approve the plan, so that the Developer carries it out. On a terminal it is shown first, and you are asked.

    Where nobody can be asked it is the plan that waits now; to approve only one that was read, name it with
    --plan-sha256.
    Where work waits that the Reviewer does not accept, this delivers it as it is, with what is unresolved.

    What is approved is the plan that was shown: should it change meanwhile, the answer is a conflict that says what
    changed. With --task only those tasks are carried out; each task they depend on has to be among them.

    \b
    Examples:
      amelia workflows approve wf-3f2a
      amelia workflows approve wf-3f2a --yes
      amelia workflows approve wf-3f2a --task round-once --task tests
    """
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    if plan_sha256:
        decision = DecisionRequest(plan_sha256=plan_sha256, tasks=tasks)
    else:
        seen = plane.plan(workflow_id)
        if not yes and output == "text" and can_ask() and not _confirmed(seen, tasks):
            click.echo(f"{workflow_id} still waits")
            return
        decision = DecisionRequest(block_id=seen.block_id, plan_sha256=seen.plan_sha256, tasks=tasks)
    view = plane.approve(workflow_id, decision, key=key)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}; amelia workflows logs {view.id} --follow")


def _confirmed(seen: "PlanView", tasks: tuple[str, ...]) -> bool:
    for line in plan_lines(_part(seen.plan, tasks), seen):
        click.echo(line)
    click.echo()
    if seen.requires == "review":
        return click.confirm("Deliver the work as it is?")
    return click.confirm("Approve this part of the plan?" if tasks else "Approve this plan?")


def _part(plan: "Plan", tasks: tuple[str, ...]) -> "Plan":
    """As it is shown; the fleet says when it cannot stand alone."""
    from msgspec.structs import replace

    return replace(plan, tasks=tuple(t for t in plan.tasks if t.id in tasks)) if tasks else plan


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--feedback", default="", metavar="TEXT", help="What is wrong with the plan.")
@click.option("--plan-sha256", default="", metavar="HASH", help=_HASH)
@options.order
def reject(
    workflow: str,
    feedback: str,
    plan_sha256: str,
    key: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Reject the plan, or the work that waits, which ends the workflow as failed. To have it done otherwise, revise it.

    \b
    Example:
      amelia workflows reject wf-3f2a --feedback "we no longer need it"
    """
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    block_id, sha256 = _named(plane, workflow_id, plan_sha256)
    decision = DecisionRequest(block_id=block_id, plan_sha256=sha256, feedback=feedback)
    view = plane.reject(workflow_id, decision, key=key)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}: {clean(view.reason)}")


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--feedback", default="", metavar="TEXT", help="What is to be different.")
@click.option("--feedback-file", "-F", metavar="FILE", help="The same, from a file; - is standard input.")
@click.option("--plan-sha256", default="", metavar="HASH", help=_HASH)
@options.order
def revise(
    workflow: str,
    feedback: str,
    feedback_file: str | None,
    plan_sha256: str,
    key: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Send the plan back to the Architect, who plans again with your feedback.

    The new plan waits for a decision as this one did, and shows what changed: amelia workflows plan ID.
    Where work waits that the Reviewer does not accept, it goes back to the Developer with your feedback.

    \b
    Examples:
      amelia workflows revise wf-3f2a --feedback "keep the public signature"
      amelia workflows revise wf-3f2a -F review.md
    """
    wanted = options.text(feedback, feedback_file, "--feedback TEXT or -F FILE")
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    block_id, sha256 = _named(plane, workflow_id, plan_sha256)
    request = ReviseRequest(feedback=wanted, block_id=block_id, plan_sha256=sha256)
    view = plane.revise(workflow_id, request, key=key)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}: {clean_block(view.reason)}")


def _named(plane: "ControlPlane", workflow_id: str, plan_sha256: str) -> tuple[str, str]:
    """The plan that was named, else the block and the plan that wait now."""
    if plan_sha256:
        return "", plan_sha256
    seen = _waits(plane, workflow_id)
    return seen.block_id, seen.plan_sha256


def _waits(plane: "ControlPlane", workflow_id: str) -> "WorkflowView":
    """Raises ``Conflict`` when nothing of it is to be decided now, with what is to be done instead."""
    seen = plane.workflow(workflow_id)
    if seen.status != "blocked":
        way = _INSTEAD.get(seen.status, "amelia workflows logs {0} --follow shows when its plan waits").format(
            workflow_id
        )
        raise Conflict(f"{workflow_id} is {seen.status}; only blocked workflows can be decided: {way}")
    return seen
