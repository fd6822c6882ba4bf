"""Where an agent may reach: below the worktree's root, wherever links point."""

from pathlib import Path


class ToolError(Exception):
    """What went wrong, told to the agent so that it can do otherwise."""


def inside(root: Path, name: str) -> Path:
    """The real path of ``name``. Raises ``ToolError`` when it is outside the root, or git's own."""
    if not name or "\0" in name:
        raise ToolError("a path is missing; give one relative to the repository's root")
    top = root.resolve()
    path = (top / name).resolve()
    if not path.is_relative_to(top):
        raise ToolError(f"{name} is outside the repository; give a path relative to its root")
    if ".git" in path.relative_to(top).parts:
        raise ToolError(f"{name} belongs to git itself and is not to be touched")
    return path
