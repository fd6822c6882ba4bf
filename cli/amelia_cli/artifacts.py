"""``amelia workflows artifacts``."""

import sys

import click

from . import options
from .printing import ago, cells, clean, document


@click.command()
@click.argument("workflow", metavar="ID")
@click.argument("name", default="")
@options.looking
@options.output
def artifacts(workflow: str, name: str, url: str, profile: str, settings: str | None, output: str) -> None:
    """List what the runs of a workflow kept; with NAME, write that one to standard output.

    Bundles are git's: git clone work.bundle, or git fetch work.bundle.

    \b
    Examples:
      amelia workflows artifacts wf-3f2a
      amelia workflows artifacts wf-3f2a work.bundle > work.bundle
    """
    plane = options.look(url, profile, settings)
    workflow_id = plane.resolve(workflow)
    if name and output == "text":
        sys.stdout.buffer.write(plane.artifact(workflow_id, name))
        return
    kept = plane.artifacts(workflow_id)
    if output == "json":
        if name:
            from msgspec.structs import replace

            kept = replace(kept, items=tuple(item for item in kept.items if item.name == name))
        document(kept)
        return
    if not kept.items:
        click.echo(f"{workflow_id} has kept nothing yet")
        return
    rows = [(clean(a.name), clean(a.media_type), str(a.size), ago(a.stored_at)) for a in kept.items]
    for line in cells(("NAME", "TYPE", "BYTES", "AGE"), rows):
        click.echo(line)
