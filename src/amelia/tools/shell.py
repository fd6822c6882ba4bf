"""A command in the worktree."""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..redaction import ours
from ..workspace.spawn import MOST_KEPT, Exit
from .paths import ToolError, save
from .workshop import Workshop

DEFAULT_SECONDS = 120
MOST_SECONDS = 600
SHOWN_BYTES = 24_000
_CUT = re.compile(r"\S{0,400}(\n… \d+ bytes elided …\n)\S{0,400}")
OUTPUTS = "outputs"
"""The folder of the home directory where an agent finds what it was not shown."""


class RunCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[str, Meta(min_length=1)]
    timeout_seconds: Annotated[int, Meta(ge=1, le=MOST_SECONDS)] = DEFAULT_SECONDS


async def run_command(shop: Workshop, wanted: RunCommand) -> str:
    """Raises ``ToolError`` for a command that needs a person; it is not run."""
    finding = shop.policy.judge(wanted.command, shop.tree.root, shop.tree.home)
    if finding is not None and finding.instead:
        raise ToolError(f"not run: `{finding.words}`: {finding.why}; {finding.instead}. Nothing of the command was run")
    if finding is not None:
        shop.leave_to_people(finding.sentence)
        raise ToolError(
            f"not run: `{finding.words}` needs a person ({finding.why}). Nothing of the command was run. Go on without "
            "it, do not look for another way to the same end, and name it in your summary as what a person has to do"
        )
    with tempfile.NamedTemporaryFile(dir=shop.tree.home.parent, prefix="output-") as file:
        whole = Path(file.name)
        ended = await shop.tree.run(wanted.command, wanted.timeout_seconds, SHOWN_BYTES, whole)
        said = report(ended, wanted.timeout_seconds)
        return said if ended.size <= SHOWN_BYTES else f"{said}\n\n{await _kept(shop, whole, ended.size)}"


def report(ended: Exit, seconds: float) -> str:
    """The exit code on the first line, then the output, without secrets; a word that was elided in part is gone."""
    said = _CUT.sub(r"…\1…", ended.output.decode(errors="replace").replace("\0", ""))
    how = f"killed after {seconds:.0f} s" if ended.timed_out else f"exit code {ended.code}"
    return f"{how}\n{ours().text(said)}".rstrip()


async def _kept(shop: Workshop, whole: Path, size: int) -> str:
    data = await asyncio.to_thread(whole.read_bytes)
    name = await shop.keep(data) if shop.keep else "output.txt"
    part = "the whole output" if size <= MOST_KEPT else f"the first {MOST_KEPT} bytes of the output"
    try:
        await asyncio.to_thread(save, shop.tree.home, Path(OUTPUTS, name), data)
    except (ToolError, OSError):
        return f"({part}, of {size} bytes, is kept for people as {name})"
    return f"({part}, of {size} bytes, is in $HOME/{OUTPUTS}/{name}: look there with grep, head, tail or sed)"
