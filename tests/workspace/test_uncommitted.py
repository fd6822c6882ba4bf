"""What is not committed, as a commit of our own."""

import os
import subprocess
from pathlib import Path

import pytest

from amelia.errors import Refused
from amelia.workspace.tree import Tree
from amelia.workspace.uncommitted import open_uncommitted


def git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """``main`` with two files, and a branch with one commit more."""
    folder = tmp_path / "checkout"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src" / "a.py").write_text("a = 1\n")
    (folder / "gone.py").write_text("gone = 1\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "checkout", "-q", "-b", "work")
    (folder / "src" / "b.py").write_text("b = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "two")
    return folder


async def changed(tree: Tree | None) -> list[str]:
    assert tree is not None
    listed = await tree.git("diff", "--name-status", tree.base_commit, "HEAD")
    return listed.decode().replace("\t", " ").splitlines()


def worked(folder: Path) -> None:
    (folder / "src" / "a.py").write_text("a = 2\n")
    (folder / "gone.py").unlink()
    (folder / "new file.py").write_text("new = 1\n")
    (folder / "noise.log").write_text("noise\n")


def state(folder: Path) -> tuple[str, str, bytes]:
    index = (folder / ".git" / "index").read_bytes()
    return git(folder, "status", "--porcelain"), git(folder, "count-objects"), index


async def test_what_changed_came_and_went_is_one_commit_and_the_checkout_stays_as_it_is(
    checkout: Path, tmp_path: Path
) -> None:
    worked(checkout)
    git(checkout, "add", "src/a.py")
    (checkout / "src" / "a.py").write_text("a = 3\n")
    before = (
        git(checkout, "status", "--porcelain"),
        git(checkout, "count-objects"),
        (checkout / ".git/index").read_bytes(),
    )
    tree = await open_uncommitted(checkout, tmp_path / "ours")
    assert await changed(tree) == ["D gone.py", "A new file.py", "M src/a.py"]
    assert tree is not None
    assert (tree.root / "src" / "a.py").read_text() == "a = 3\n"
    assert not (tree.root / "noise.log").exists()
    assert b"+a = 3" in await tree.diff()
    after = (
        git(checkout, "status", "--porcelain"),
        git(checkout, "count-objects"),
        (checkout / ".git/index").read_bytes(),
    )
    assert after == before


async def test_with_a_base_what_the_branch_has_committed_is_part_of_it(checkout: Path, tmp_path: Path) -> None:
    assert await changed(await open_uncommitted(checkout, tmp_path / "clean", base="main")) == ["A src/b.py"]
    worked(checkout)
    tree = await open_uncommitted(checkout, tmp_path / "ours", base="main")
    assert await changed(tree) == ["D gone.py", "A new file.py", "M src/a.py", "A src/b.py"]


async def test_of_some_paths_only_what_lies_there(checkout: Path, tmp_path: Path) -> None:
    worked(checkout)
    tree = await open_uncommitted(checkout, tmp_path / "ours", paths=("src", "gone.py"))
    assert await changed(tree) == ["D gone.py", "M src/a.py"]
    with pytest.raises(Refused, match=r"nothing that git knows at src/\*\.py"):
        await open_uncommitted(checkout, tmp_path / "other", paths=("src/*.py",))


async def test_nothing_changed_is_nothing(checkout: Path, tmp_path: Path) -> None:
    (checkout / "noise.log").write_text("noise\n")
    assert await open_uncommitted(checkout, tmp_path / "ours") is None


async def test_a_worktree_and_a_detached_head_are_checkouts_too(checkout: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    git(checkout, "worktree", "add", "-q", "--detach", str(beside), "main")
    (beside / "src" / "a.py").write_text("a = 4\n")
    assert await changed(await open_uncommitted(beside, tmp_path / "ours")) == ["M src/a.py"]


async def test_filters_and_hooks_of_the_checkout_are_not_run(checkout: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (checkout / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    for key in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "core.fsmonitor"):
        git(checkout, "config", key, f"touch {canary}; cat")
    worked(checkout)
    tree = await open_uncommitted(checkout, tmp_path / "ours")
    assert tree is not None
    assert b"+a = 2" in await tree.diff()
    assert not canary.exists()


async def test_a_repository_does_not_bring_what_we_trust(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".git.trusted").mkdir()
    worked(checkout)
    with pytest.raises(Refused, match=r"\.git\.trusted would be read"):
        await open_uncommitted(checkout, tmp_path / "ours")


async def test_what_is_missing_is_named(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no commit --upload in"):
        await open_uncommitted(checkout, tmp_path / "ours", base="--upload")
    with pytest.raises(Refused, match="is no checkout"):
        await open_uncommitted(tmp_path, tmp_path / "theirs")
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    with pytest.raises(Refused, match="commit something there first"):
        await open_uncommitted(empty, tmp_path / "third")
