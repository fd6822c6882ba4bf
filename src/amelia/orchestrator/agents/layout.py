"""What a repository consists of, at a glance."""

from collections import Counter
from pathlib import PurePosixPath

from ...tools.toolbox import shorten
from ...workspace.tree import Tree
from .material import fenced

LONGEST = 8_000
_DEEPEST = 3
_SUBMODULE = b"160000"


async def layout(tree: Tree) -> str:
    """The files' names; of a large repository the folders, with how many files are below each."""
    listed = await tree.git("ls-files", "--stage", "-z")
    entries = [entry.partition(b"\t") for entry in listed.split(b"\0") if entry]
    names = [path.decode(errors="replace") for head, _, path in entries if not head.startswith(_SUBMODULE)]
    modules = [path.decode(errors="replace") for head, _, path in entries if head.startswith(_SUBMODULE)]
    text = "\n".join(names) or "(none)"
    said = "The repository's files:"
    if len(text) > LONGEST:
        said = f"The repository has {len(names)} files. Its folders, with the number of files below each:"
        text = shorten(folders(names), LONGEST)
    parts = [f"{said}\n\n{fenced('files', text)}"]
    if modules:
        there = shorten("\n".join(modules), 2_000)
        parts.append(f"Submodules, repositories of their own whose files are not here:\n\n{fenced('files', there)}")
    return "\n\n".join(parts)


def folders(names: list[str]) -> str:
    """As many levels as there is room for, and what lies in the top folder."""
    top = [name for name in names if "/" not in name]
    text = ""
    for deepest in range(1, _DEEPEST + 1):
        counts = Counter(
            "/".join(parts[:depth])
            for name in names
            for parts in [PurePosixPath(name).parts[:-1]]
            for depth in range(1, min(deepest, len(parts)) + 1)
        )
        lines = [*(f"{folder}/ {count}" for folder, count in sorted(counts.items())), *top]
        if text and len("\n".join(lines)) > LONGEST:
            break
        text = "\n".join(lines)
    return text
