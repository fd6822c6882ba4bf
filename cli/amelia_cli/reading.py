"""The commands that only look."""

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .printing import ago, ahead, bounds, clean, document, dollars, is_spent, paint_status, plan_lines
from .tables import table

if TYPE_CHECKING:
    from amelia.contract.views import WorkflowView

_STATUSES = ["pending", "in_progress", "blocked", "approved", "paused", "completed", "failed", "cancelled"]


@click.command("list")
@click.option("--status", type=click.Choice(_STATUSES), multiple=True, help="Only those in it; may be repeated.")
@click.option("--owner", default="", metavar="NAME", help="Only those of this owner.")
@click.option("--repository", default="", metavar="URL", help="Only those on this repository.")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", default="", help="Go on after the page that ended with this cursor.")
@options.looking
@options.output
def list_workflows(
    status: tuple[str, ...],
    owner: str,
    repository: str,
    limit: int,
    cursor: str,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """List the fleet's workflows, newest first.

    \b
    Examples:
      amelia workflows list --status blocked --status paused
      amelia workflows list --owner ada
      amelia workflows list --local
    """
    page = options.look(url, profile, settings).workflows(
        status=status, owner=owner, repository=repository, limit=limit, cursor=cursor
    )
    if output == "json":
        document(page)
        return
    if not page.items:
        sought = status or owner or repository
        begin = "amelia start ISSUE" + ("" if options.is_local() else " --remote")
        click.echo("no workflows " + ("are like that" if sought else f"yet; {begin} starts one"))
        return
    rows = [
        (v.id, paint_status(v.status, v.phase), clean(v.issue.id), clean(v.issue.title)[:60], ago(v.created_at))
        for v in page.items
    ]
    for line in table(("ID", "STATUS", "ISSUE", "TITLE", "AGE"), rows, flexible=("ISSUE", "TITLE")):
        click.echo(line)
    if page.next:
        here = "--local " if options.is_local() else ""
        click.echo(f"more: amelia workflows list {here}--cursor {page.next}", err=True)


@click.command()
@click.argument("workflow", metavar="ID")
@options.looking
@options.output
def show(workflow: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Show one workflow: its state, and why it waits or how it ended.

    \b
    Example:
      amelia workflows show wf-3f2a
    """
    plane = options.look(url, profile, settings)
    view = plane.workflow(plane.resolve(workflow))
    if output == "json":
        document(view)
        return
    facts = {
        "workflow": view.id,
        "status": paint_status(view.status, view.phase),
        "reason": clean(view.reason),
        "issue": f"{clean(view.issue.id)}: {clean(view.issue.title)}",
        "repository": clean(view.repository) + (f" at {clean(view.base)}" if view.base else ""),
        "branch": f"{view.branch} at {view.commit}" if view.commit else "",
        "owner": clean(view.owner),
        "profile": clean(view.profile),
        "pull": _pull_request(view),
        "queue": _place(view),
        "priority": str(view.priority or ""),
        "attempt": str(view.attempt or ""),
        "cost": dollars(view.spent) + (f" of {bounds(view.budget)}" if view.budget else ""),
        "deadline": f"{view.deadline}, in {ahead(view.deadline)}" if view.deadline else "",
        "created": f"{view.created_at}, {ago(view.created_at)} ago",
        "updated": f"{view.updated_at}, {ago(view.updated_at)} ago",
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name:<11}{value}")
    for point in view.unresolved:
        click.echo(f"{'unresolved':<11}{clean(point)}")
    for note in view.messages:
        click.echo(f"{'unread':<11}{clean(note.by)}: {clean(note.text)}")
    step = _NEXT_HERE if options.is_local() else _NEXT
    status: str = view.status
    if view.requires == "review" and view.status == "blocked":
        status = "refused"
    elif is_spent(view):
        status = "spent"
    if status in step:
        click.echo(f"\nnext: {step[status].format(view.id)}")


_NEXT = {
    "blocked": "amelia workflows plan {0}, then approve, revise or reject it",
    "refused": "amelia workflows diff {0}, then approve (deliver it as it is), revise (send it back) or reject",
    "paused": "amelia workflows resume {0}",
    "spent": "amelia workflows resume {0} --budget DOLLARS, with more than it had",
    "failed": "amelia workflows logs {0} says how it came; amelia workflows retry {0} tries again",
    "cancelled": "amelia workflows retry {0} takes it up again",
}


_GO_ON = "the amelia start that began it goes on"
_NEXT_HERE = {
    "pending": _GO_ON,
    "approved": _GO_ON,
    "blocked": f"{_GO_ON}, and asks for a decision",
    "refused": f"amelia workflows diff {{0}} --local; {_GO_ON}, and asks what becomes of it",
    "paused": _GO_ON,
    "spent": f"{_GO_ON}, with a larger --budget",
    "failed": "amelia workflows logs {0} --local says how it came; amelia start with --retry tries the rest again",
}


def _pull_request(view: "WorkflowView") -> str:
    asked = view.pull_request
    return clean(asked.url) + (" (draft)" if asked.draft else "") if asked else ""


def _place(view: "WorkflowView") -> str:
    if view.queue is None:
        return ""
    starts = f"; may start in {ahead(view.queue.estimated_start)}" if view.queue.estimated_start else ""
    return f"place {view.queue.position}: {clean(view.queue.limit)}{starts}"


@click.command()
@click.argument("workflow", metavar="ID")
@options.looking
@options.output
def plan(workflow: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Show what the Architect proposes, the hash that names it, what it may cost and until when it waits.

    After a revision it ends with what changed since the plan before.

    \b
    Example:
      amelia workflows plan wf-3f2a
    """
    plane = options.look(url, profile, settings)
    view = plane.plan(plane.resolve(workflow))
    if output == "json":
        document(view)
        return
    for line in plan_lines(view.plan, view):
        click.echo(line)
    waits = "approved; the work on it waits for a decision" if view.requires == "review" else "waits for a decision"
    said = f"{view.decision.kind} by {clean(view.decision.by)}" if view.decision else waits
    click.echo(f"\nplan {view.plan_sha256}: {said}")


@click.command()
@click.argument("workflow", metavar="ID")
@options.looking
@options.output
def diff(workflow: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """Print the change as a unified diff.

    \b
    Example:
      amelia workflows diff wf-3f2a | git apply
    """
    plane = options.look(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    change = plane.diff(workflow_id)
    if output == "json":
        document({"workflow_id": workflow_id, "diff": change.decode("utf-8", "replace")})
    else:
        sys.stdout.buffer.write(change)
