"""A repository's configuration as it was before an agent could write into it.

git takes what it executes (filters, hooks, drivers for merges and diffs, an ssh command) from the configuration of the
repository. The agents' processes can change the one beside their worktree at any moment; ours is a second face of the
same repository, with the same objects, refs and worktrees, and a configuration that nobody is told of.
"""

import contextlib
import os
import shutil
from pathlib import Path

_SUFFIX = ".trusted"
_SHARED = ("objects", "refs", "packed-refs", "shallow", "worktrees")
_OWN = ("config", "HEAD")


def trust(store: Path) -> None:
    """Call it for a fresh bare clone, before anything else runs; a face that was there is replaced."""
    face = store.with_suffix(_SUFFIX)
    shutil.rmtree(face, ignore_errors=True)
    (store / "worktrees").mkdir(exist_ok=True)
    face.mkdir(mode=0o755)
    for name in _OWN:
        shutil.copyfile(store / name, face / name)
    for name in _SHARED:
        (face / name).symlink_to(Path("..", store.name, name))


def distrust(store: Path) -> None:
    """Forgets the face of a repository that is about to be replaced."""
    shutil.rmtree(store.with_suffix(_SUFFIX), ignore_errors=True)


def trusted_for(git_dir: Path) -> Path | None:
    """What to name as git's common folder beside ``git_dir``, a repository's or that of one of its worktrees; None when
    the repository has no face of ours."""
    store = git_dir.parent.parent if git_dir.parent.name == "worktrees" else git_dir
    face = store.with_suffix(_SUFFIX)
    return face if face.is_dir() else None


def without_links(git_dir: Path) -> None:
    """git writes and removes through a symbolic link among its own files; none of them is one."""
    if git_dir.parent.name != "worktrees":
        return
    store = git_dir.parents[1]
    store = store.with_suffix(".git") if store.suffix == _SUFFIX else store
    objects = store / "objects"
    for folder in (store, git_dir, git_dir / "logs", git_dir.parent, objects, objects / "pack", objects / "info"):
        _unlink(folder)
    for refs, _, _ in os.walk(store / "refs"):
        _unlink(Path(refs))


def _unlink(folder: Path) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                Path(entry.path).unlink()
