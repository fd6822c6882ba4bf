"""``amelia workflows apply``."""

from pathlib import Path

import click

from . import options
from .printing import document

BUNDLE = "work.bundle"


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--repo", type=click.Path(path_type=Path), default=Path(), help="The checkout.  [default: the one here]")
@click.option("--branch", default="", metavar="NAME", help="What to call the branch.  [default: the workflow's]")
@click.option("--checkout", is_flag=True, help="And check it out.")
@click.option("--merge", is_flag=True, help="And merge it into the branch that is checked out.")
@click.option("--push", is_flag=True, help="And push it to the remote it belongs to, else to origin.")
@click.option("--force", is_flag=True, help="Also when commits on a branch of that name are let go.")
@options.looking
@options.output
def apply(
    workflow: str,
    repo: Path,
    branch: str,
    checkout: bool,
    merge: bool,
    push: bool,
    force: bool,
    url: str,
    profile: str,
    settings: str | None,
    output: str,
) -> None:
    """Bring the work into a checkout on this machine, as a branch. Nothing else there moves.

    Hooks are not run. Work that is there already stays as it is, so the same command may be given again. Of a
    workflow that failed it is what was finished.

    \b
    Examples:
      amelia workflows apply wf-3f2a
      amelia workflows apply wf-3f2a --branch try-it --checkout
      amelia workflows apply wf-3f2a --local --push
    """
    from amelia.errors import NotFound
    from amelia.workspace.address import check_branch

    from .checkout import Checkout

    if checkout and merge:
        raise click.UsageError("--checkout and --merge are two wishes; give one", click.get_current_context())
    plane = options.look(url, profile, settings)
    view = plane.workflow(plane.resolve(workflow))
    here = Checkout(repo.expanduser().absolute())
    name = check_branch(branch or view.branch)
    try:
        bundle = plane.artifact(view.id, BUNDLE)
    except NotFound as error:
        said = f"{view.id} is {view.status} and has handed in no work yet"
        more = "decide it first; amelia workflows diff shows it" if view.requires == "review" else "its logs tell more"
        raise NotFound(f"{said}; {more}") from error
    commit = here.take(bundle, view.id, view.repository)
    was = here.point(name, commit, view.id, force=force, moves=checkout or merge)
    if checkout:
        here.switch(name)
    merged = here.merge(name) if merge and here.current != name else ""
    pushed = here.push(name, view.repository) if push else ""
    _say(output, view.id, view.status, str(here.root), name, commit, was, here.current == name, merged, pushed)


def _say(
    output: str,
    workflow_id: str,
    status: str,
    root: str,
    name: str,
    commit: str,
    was: str,
    current: bool,
    merged: str,
    pushed: str,
) -> None:
    if output == "json":
        said = {"workflow_id": workflow_id, "status": status, "repository": root, "branch": name, "commit": commit}
        document({**said, "was": was, "checked_out": current, "merged_into": merged, "pushed_to": pushed})
        return
    if status != "completed":
        click.echo(f"{workflow_id} is {status}: this is what was finished of it", err=True)
    how = "is already" if was == commit else f"was {was[:12]} and is now" if was else "is"
    click.echo(f"the branch {name} {how} at {commit[:12]} in {root}")
    if merged:
        click.echo(f"and is merged into {merged}")
    if pushed:
        click.echo(f"and is pushed to {pushed}")
    if not (merged or current):
        click.echo(f"look at it with git log -p {name}, or take it with git checkout {name}")
