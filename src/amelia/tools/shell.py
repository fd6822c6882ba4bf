"""A command in the worktree."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.spawn import Exit
from ..workspace.tree import Tree

DEFAULT_SECONDS = 120
MOST_SECONDS = 600


class RunCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[str, Meta(min_length=1)]
    timeout_seconds: Annotated[int, Meta(ge=1, le=MOST_SECONDS)] = DEFAULT_SECONDS


async def run_command(tree: Tree, wanted: RunCommand) -> str:
    return report(await tree.run(wanted.command, wanted.timeout_seconds), wanted.timeout_seconds)


def report(ended: Exit, seconds: float) -> str:
    """The exit code on the first line, then the output."""
    said = ended.output.decode(errors="replace").replace("\0", "")
    how = f"killed after {seconds:.0f} s" if ended.timed_out else f"exit code {ended.code}"
    return f"{how}\n{said}".rstrip()
