"""``amelia workflows export``."""

import sys
from pathlib import Path

import click

from . import options
from .printing import document


@click.command()
@click.argument("workflow", metavar="ID")
@click.option("--file", "-o", "file", type=click.Path(path_type=Path), help="Where to write it.  [default: stdout]")
@options.looking
@options.output
def export(workflow: str, file: Path | None, url: str, profile: str, settings: str | None, output: str) -> None:
    """Make a conversation file of a workflow that has ended: all that the model said, to be played again.

    amelia rerun plays it against this version, and says where it goes another way.

    \b
    Examples:
      amelia workflows export wf-3f2a -o wrong-total.yaml
      amelia workflows export wf-3f2a --local > wrong-total.yaml
    """
    from amelia.errors import Refused

    from .recording import document as conversation_file
    from .recording import record

    plane = options.look(url, profile, settings)
    recording = record(plane, plane.resolve(workflow))
    text = conversation_file(recording)
    if file is not None:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}; give another -o FILE") from error
    if output == "json":
        turns = sum(len(one.turns) for one in recording.conversations)
        names = [one.name for one in recording.conversations]
        told = {"workflow_id": recording.recorded.workflow_id, "conversations": names, "turns": turns}
        document({**told, "file": str(file)} if file else {**told, "text": text})
    elif file is None:
        sys.stdout.write(text)
    else:
        click.echo(f"{file}: {len(recording.conversations)} conversations of {recording.recorded.workflow_id}")
