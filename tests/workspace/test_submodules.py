"""Submodules are left as they are, whatever they say about themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amelia.workspace.tree import open_tree

Git = Callable[..., str]


@pytest.fixture
def library(tmp_path: Path, git: Git) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "l.txt").write_text("l\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "l")
    return folder


def add_submodule(origin: Path, library: Path, git: Git, more: str = "") -> str:
    seed = origin.parent / "seed"
    git(seed, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    (seed / ".gitmodules").write_text((seed / ".gitmodules").read_text() + more)
    git(seed, "add", "--all")
    git(seed, "commit", "-qm", "a library")
    git(seed, "push", "-q", str(origin), "main")
    return git(seed, "rev-parse", "HEAD:lib")


async def test_a_change_beside_a_submodule_leaves_it_at_its_commit(
    origin: Path, library: Path, tmp_path: Path, git: Git
) -> None:
    at = add_submodule(origin, library, git)
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    assert list((tree.root / "lib").iterdir()) == []
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("b", onto=tree.base_commit)
    assert git(tree.root, "rev-parse", f"{commit}:lib") == at
    taken = await tree.snapshot()
    assert taken is not None
    await tree.restore_snapshot(taken.bundle)


async def test_what_gitmodules_asks_for_is_never_done(origin: Path, library: Path, tmp_path: Path, git: Git) -> None:
    canary = tmp_path / "canary"
    add_submodule(
        origin,
        library,
        git,
        f'[submodule "evil"]\n\tpath = evil\n\turl = -u./touch {canary}\n\tupdate = !touch {canary}\n'
        f'[submodule "more"]\n\tpath = a.txt\n\turl = ext::sh -c "touch {canary}"\n\tfetchRecurseSubmodules = true\n',
    )
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("b", onto=tree.base_commit)
    await tree.restore_commits(await tree.bundle(), commit)
    assert not canary.exists()


async def test_a_submodule_that_an_agent_moved_or_took_out_is_a_change(
    origin: Path, library: Path, tmp_path: Path, git: Git
) -> None:
    add_submodule(origin, library, git)
    (library / "l.txt").write_text("newer\n")
    git(library, "commit", "-qam", "newer")
    newer = git(library, "rev-parse", "HEAD")
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    git(tree.root / "lib", "clone", "-q", str(library), ".")
    moved = await tree.commit("moved", onto=tree.base_commit)
    assert git(tree.root, "rev-parse", f"{moved}:lib") == newer

    await tree.reset(moved)
    for path in sorted((tree.root / "lib").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tree.root / "lib").rmdir()
    gone = await tree.commit("gone", onto=moved)
    assert "lib" not in git(tree.root, "ls-tree", "--name-only", gone).split()
