"""The commands that stop, continue and steer a workflow."""

from typing import TYPE_CHECKING

import click

from . import options
from .printing import document, standing

if TYPE_CHECKING:
    from amelia.contract.views import WorkflowView


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read its history.")
@options.order
def cancel(workflow: str, reason: str, key: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Cancel a workflow. It has effect at once, whatever its agents are doing: nothing is pushed after it.

    \b
    Example:
      amelia workflows cancel wf-3f2a --reason "fixed by hand"
    """
    plane = options.reach(url, profile, settings)
    _say(plane.cancel(plane.resolve(workflow), reason, key=key), output)


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read its history.")
@options.order
def pause(workflow: str, reason: str, key: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Pause a workflow: nothing of it runs until it is resumed, and nothing that was done is lost.

    \b
    Example:
      amelia workflows pause wf-3f2a --reason "the release is frozen"
    """
    plane = options.reach(url, profile, settings)
    _say(plane.pause(plane.resolve(workflow), reason, key=key), output)


@click.command()
@click.argument("workflow", metavar="ID")
@options.budget
@options.order
def resume(
    workflow: str,
    dollars: int | None,
    tokens: int | None,
    key: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Resume a paused workflow, with a larger budget where the old one was reached.

    A budget is for the whole workflow, not for what is left of it; 0 takes the bound away.

    \b
    Examples:
      amelia workflows resume wf-3f2a
      amelia workflows resume wf-3f2a --budget 7.50
    """
    from amelia.contract.workflow import Budget

    plane = options.reach(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    wanted = None
    if dollars is not None or tokens is not None:
        old = plane.workflow(workflow_id).budget
        wanted = Budget(
            microdollars=old.microdollars if dollars is None else dollars,
            tokens=old.tokens if tokens is None else tokens,
        )
    _say(plane.resume(workflow_id, wanted, key=key), output)


@click.command()
@click.argument("workflow", metavar="ID")
@click.option(
    "--from",
    "begin",
    type=click.Choice(["checkpoint", "start"]),
    default="checkpoint",
    show_default=True,
    help="Go on from its last checkpoint, or begin anew with a new plan.",
)
@options.order
def retry(workflow: str, begin: str, key: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Give a workflow that failed or was cancelled another go.

    \b
    Examples:
      amelia workflows retry wf-3f2a
      amelia workflows retry wf-3f2a --from start
    """
    plane = options.reach(url, profile, settings)
    _say(plane.retry(plane.resolve(workflow), start=begin == "start", key=key), output)


@click.command()
@click.argument("workflow", metavar="ID")
@click.argument("text", default="")
@click.option("--file", "-F", "file", metavar="FILE", help="The message from a file; - is standard input.")
@options.order
def message(
    workflow: str,
    text: str,
    file: str | None,
    key: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Tell the agents something: they read it before their next turn.

    \b
    Examples:
      amelia workflows message wf-3f2a "round half up, not half even"
      amelia workflows message wf-3f2a -F notes.md
    """
    said = options.text(text, file, "TEXT or -F FILE")
    plane = options.reach(url, profile, settings)
    view = plane.message(plane.resolve(workflow), said, key=key)
    if output == "json":
        document(view)
    else:
        unread = len(view.messages)
        click.echo(f"{view.id} has {unread} unread message{'' if unread == 1 else 's'}")


def _say(view: "WorkflowView", output: str) -> None:
    if output == "json":
        document(view)
    else:
        click.echo(f"{view.id} is {standing(view.status, view.reason)}")
