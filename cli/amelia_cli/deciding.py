"""The commands that change a workflow."""

import click

from amelia.contract.views import DecisionRequest
from amelia.errors import Conflict

from . import options
from .printing import clean, document, paint_status, plan_lines
from .terminal import can_ask


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--plan-sha256", default="", metavar="HASH", help="Approve only if this is the plan; not asked then.")
@click.option("--yes", is_flag=True, help="Approve the plan there is, without asking.")
@options.fleet
@options.output
def approve(
    workflow: str, plan_sha256: str, yes: bool, url: str, profile: str, settings: str | None, output: str
) -> None:
    """Approve the plan, so that the Developer carries it out. On a terminal it is shown first, and you are asked.

    What is approved is the plan that was shown: should it change meanwhile, the answer is a conflict.

    \b
    Examples:
      amelia workflows approve wf-3f2a
      amelia workflows approve wf-3f2a --yes
    """
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    seen = plane.plan(workflow_id)
    if plan_sha256 and plan_sha256 != seen.plan_sha256:
        raise Conflict(f"the plan of {workflow_id} is {seen.plan_sha256} now; look at it again and approve that")
    if not (yes or plan_sha256) and output == "text" and can_ask():
        for line in plan_lines(seen.plan):
            click.echo(line)
        click.echo()
        if not click.confirm("Approve this plan?"):
            click.echo(f"{workflow_id} still waits")
            return
    decision = DecisionRequest(block_id=seen.block_id, plan_sha256=seen.plan_sha256)
    view = plane.approve(workflow_id, decision)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}; amelia workflows logs {view.id} --follow")


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--feedback", default="", help="What is wrong with the plan.")
@click.option("--plan-sha256", default="", metavar="HASH", help="Reject only if this is the plan.")
@options.fleet
@options.output
def reject(
    workflow: str, feedback: str, plan_sha256: str, url: str, profile: str, settings: str | None, output: str
) -> None:
    """Reject the plan, which ends the workflow as failed.

    \b
    Example:
      amelia workflows reject wf-3f2a --feedback "keep the public signature"
    """
    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    seen = plane.plan(workflow_id)
    if plan_sha256 and plan_sha256 != seen.plan_sha256:
        raise Conflict(f"the plan of {workflow_id} is {seen.plan_sha256} now; look at it again and reject that")
    decision = DecisionRequest(block_id=seen.block_id, plan_sha256=seen.plan_sha256, feedback=feedback)
    view = plane.reject(workflow_id, decision)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}: {clean(view.reason)}")


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--reason", default="", help="Why, for those who read its history.")
@options.fleet
@options.output
def cancel(workflow: str, reason: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Cancel a workflow. It has effect at once, whatever its agents are doing.

    \b
    Example:
      amelia workflows cancel wf-3f2a --reason "fixed by hand"
    """
    plane = options.reach(url, profile, settings)
    view = plane.cancel(plane.resolve(workflow), reason)
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {paint_status(view.status)}: {clean(view.reason)}")
