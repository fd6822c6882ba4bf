"""What git keeps of worktrees that are gone."""

import contextlib
import shutil
from pathlib import Path

from .sandbox_view import store_of


def forget(git_dir: Path, root: Path) -> None:
    """What the repository of ``git_dir`` keeps of the worktree at ``root``.

    ``git worktree prune`` would remove it too, and with it all that lies where a link among its folders points: agents
    can put one there.
    """
    kept = store_of(git_dir) / "worktrees"
    if kept.is_symlink() or not kept.is_dir():
        return
    for folder in kept.iterdir():
        if folder.is_symlink():
            folder.unlink()
        elif folder != git_dir and _is_of(folder, root):
            shutil.rmtree(folder, ignore_errors=True)


def _is_of(folder: Path, root: Path) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / "gitdir").read_text(encoding="utf-8").strip() == str(root / ".git")
    return False
