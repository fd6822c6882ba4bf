"""A repository, and an agent, that want our git to run something."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from amelia.workspace.lanes import close_lane, open_lane, rebase
from amelia.workspace.tree import Tree, open_tree

Git = Callable[..., str]
NAMES = ("pre-commit", "commit-msg", "post-commit", "post-checkout", "post-index-change", "reference-transaction")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def commands(canary: Path) -> dict[str, str]:
    """Every setting by which git runs something while it commits, compares, merges, checks out or fetches."""
    script = f"touch {canary}; cat"
    return {
        **{f"filter.evil.{way}": script for way in ("clean", "smudge", "process")},
        "filter.evil.required": "true",
        "diff.evil.command": script,
        "diff.evil.textconv": script,
        "diff.external": script,
        "merge.evil.driver": script,
        "core.fsmonitor": script,
        "core.hooksPath": f"{canary.parent}/planted",
        "core.sshCommand": script,
        "core.editor": script,
        "core.pager": script,
        "core.alternateRefsCommand": script,
        "core.gitProxy": script,
        "gpg.program": script,
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "credential.helper": f"!{script}",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::sh -c 'touch {canary}'",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": script,
        "include.path": f"{canary.parent}/included",
        "alias.commit": f"!{script}",
        "extensions.worktreeConfig": "true",
    }


def plant(tree: Tree, canary: Path, git: Git) -> None:
    """What an agent could do with the repository beside its worktree, were it not kept from it."""
    store = tree.git.git_dir.parents[1]
    for folder in (canary.parent / "planted", store / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in NAMES:
            (folder / name).write_text(f"#!/bin/sh\ntouch {canary}\nexit 1\n")
            (folder / name).chmod(0o755)
    (canary.parent / "included").write_text(f'[filter "evil"]\n\tclean = "touch {canary}; cat"\n')
    (store / "info").mkdir(exist_ok=True)
    (store / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (tree.root / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    for name, value in commands(canary).items():
        git(store, "config", name, value)
    (tree.git.git_dir / "config.worktree").write_bytes((store / "config").read_bytes())
    git(store, "config", "--file", str(tree.git.git_dir / "config.worktree"), "core.bare", "false")


async def everything(tree: Tree) -> str:
    """All that is done with a worktree while a workflow runs."""
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("second", onto=tree.base_commit)
    lane = await open_lane(tree, "t", tree.base_commit)
    (lane.root / "b.txt").write_text("other\n")
    (lane.root / "c.txt").write_text("c\n")
    theirs = await lane.commit("third", onto=tree.base_commit)
    await rebase(lane, theirs, commit)
    (tree.root / "a.txt").write_text("changed\n")
    taken = await tree.snapshot()
    assert taken is not None
    await tree.diff()
    await tree.restore_commits(await tree.bundle(), commit)
    await tree.restore_snapshot(taken.bundle)
    await tree.reset(commit)
    return commit


async def test_nothing_that_a_configuration_names_is_run(origin: Path, tmp_path: Path, canary: Path, git: Git) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    plant(tree, canary, git)
    await everything(tree)
    assert not canary.exists()
    assert (tree.root / "b.txt").read_text() == "b\n"


async def test_the_planted_settings_do_run_with_a_git_that_trusts_them(
    origin: Path, tmp_path: Path, canary: Path, git: Git
) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    plant(tree, canary, git)
    subprocess.run(["git", "add", "--all"], cwd=tree.root, capture_output=True, check=False)
    assert canary.exists()


async def test_a_repository_inside_the_worktree_is_asked_nothing_and_is_no_part_of_the_change(
    origin: Path, tmp_path: Path, canary: Path, git: Git
) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    inner = tree.root / "vendor [x]"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "v").write_text("v")
    git(inner, "add", "v")
    git(inner, "commit", "-qm", "v")
    for name, value in commands(canary).items():
        git(inner, "config", name, value)
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "v").write_text("w")
    git(tree.root, "-c", "core.hooksPath=", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor [x]")
    commit = await everything(tree)
    assert not canary.exists()
    assert "b.txt" in git(tree.root, "-c", "core.fsmonitor=", "ls-tree", "--name-only", "-r", commit)


async def test_a_repository_that_an_agent_cloned_into_the_worktree_is_left_out(
    origin: Path, tmp_path: Path, git: Git
) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    git(tree.root, "clone", "-q", str(origin), "deep/dependency")
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("b", onto=tree.base_commit)
    assert git(tree.root, "ls-tree", "--name-only", "-r", commit).split() == [".gitignore", "a.txt", "b.txt"]


async def test_our_git_writes_through_no_link(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    mine = tmp_path / "mine"
    mine.write_text("mine\n")
    for name in ("index", "COMMIT_EDITMSG", "ORIG_HEAD", "logs/HEAD", "../../shallow"):
        file = tree.git.git_dir / name
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.symlink_to(mine)
    (tree.root / "b.txt").write_text("b\n")
    assert await tree.commit("b", onto=tree.base_commit)
    assert mine.read_text() == "mine\n"


async def test_our_git_makes_no_file_where_a_link_among_the_refs_points(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    mine = tmp_path / "mine"
    mine.mkdir()
    refs = tree.git.git_dir.parents[1] / "refs"
    (refs / "amelia").symlink_to(mine)
    (refs / "heads" / "amelia").mkdir(exist_ok=True)
    (refs / "heads" / "amelia" / "x").unlink(missing_ok=True)
    (refs / "heads" / "amelia" / "x").symlink_to(mine / "x")
    (tree.root / "b.txt").write_text("b\n")
    assert await tree.commit("b", onto=tree.base_commit)
    assert await tree.snapshot()
    assert list(mine.iterdir()) == []


async def test_a_replaced_commit_deceives_nobody(origin: Path, tmp_path: Path, git: Git) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b.txt").write_text("bad\n")
    commit = await tree.commit("b", onto=tree.base_commit)
    git(tree.root, "replace", commit, tree.base_commit)
    assert b"+bad" in await tree.diff()


async def test_files_that_point_out_of_the_tree_stay_links(origin: Path, tmp_path: Path, git: Git) -> None:
    seed = origin.parent / "seed"
    (seed / "out").symlink_to("/etc")
    git(seed, "add", "--all")
    git(seed, "commit", "-qm", "links")
    git(seed, "push", "-q", str(origin), "main")
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("b", onto=tree.base_commit)
    assert git(tree.root, "ls-tree", commit, "out").startswith("120000")


async def test_nothing_is_removed_through_a_link(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    kept = tree.git.git_dir.parent
    for _ in range(2):
        (kept / "evil").symlink_to(precious)
        lane = await open_lane(tree, "t", tree.base_commit)
        (kept / "evil").unlink(missing_ok=True)
        (kept / "evil").symlink_to(precious)
        await close_lane(tree, lane)
        assert [path.name for path in kept.iterdir()] == ["tree"]
    assert (precious / "file").read_text() == "mine"


async def test_a_lane_that_was_never_closed_is_replaced(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    first = await open_lane(tree, "t", tree.base_commit)
    (first.root / "b.txt").write_text("left\n")
    second = await open_lane(tree, "t", tree.base_commit)
    assert not (second.root / "b.txt").exists()
    (second.root / "b.txt").write_text("b\n")
    assert await second.commit("b", onto=tree.base_commit)
