"""The worktree, against real repositories."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amelia.errors import Malformed, Refused
from amelia.workspace.tree import open_tree

Git = Callable[..., str]


async def test_a_commit_carries_our_name_and_runs_no_hook(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    hook = f"mkdir -p {tree.git.git_dir.parents[1]}/hooks && cd {tree.git.git_dir.parents[1]}/hooks"
    script = f"printf '#!/bin/sh\\ntouch {tmp_path}/hooked\\nexit 1\\n'"
    names = "pre-commit commit-msg post-commit reference-transaction post-checkout"
    planted = await tree.run(
        f"{hook} && for h in {names}; do {script} > $h; chmod +x $h; done; touch {tree.root}/b", 10
    )
    assert planted.code == 0
    commit = await tree.commit("second\n\nAmelia-Task: x\n", onto=tree.base_commit)
    assert await tree.git.line("log", "-1", "--format=%an <%ae> %s") == "Amelia <amelia@users.noreply.invalid> second"
    assert commit == await tree.head()
    assert not (tmp_path / "hooked").exists()


async def test_what_would_steer_a_terminal_is_not_in_a_commit(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b").touch()
    await tree.commit("Do one\x1b[2J\x9b2J\u202e\n\nQuietly\x07, \tso.\r\n\nAmelia-Task: x\n", onto=tree.base_commit)
    said = await tree.git("log", "-1", "--format=%B")
    assert said.decode() == "Do one[2J2J\n\nQuietly, \tso.\n\nAmelia-Task: x\n\n"


async def test_nothing_changed_is_no_commit(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "stable", "amelia/x", tmp_path / "w")
    assert await tree.commit("nothing", onto=tree.base_commit) == ""


async def test_what_an_agent_committed_itself_becomes_our_one_commit(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    who = "git -c user.name=x -c user.email=x@x.invalid"
    assert (await tree.run(f"echo b > b && git add b && {who} commit -qm mine && git checkout -qb other", 10)).code == 0
    commit = await tree.commit("ours", onto=tree.base_commit)
    assert await tree.git.line("log", "--format=%s", f"{tree.base_commit}..{commit}") == "ours"
    assert await tree.git.line("symbolic-ref", "HEAD") == "refs/heads/amelia/x"


async def test_a_snapshot_restores_changed_new_and_deleted_files_elsewhere(
    origin: Path, tmp_path: Path, git: Git
) -> None:
    first = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w1")
    (first.root / "b.txt").write_text("b\n")
    commit = await first.commit("b", onto=first.base_commit)
    bundle = await first.bundle()
    (first.root / "a.txt").unlink()
    (first.root / "b.txt").write_text("changed\n")
    (first.root / "deep").mkdir()
    (first.root / "deep" / "new.txt").write_text("new\n")
    taken = await first.snapshot()
    assert taken is not None
    assert await first.snapshot(taken.tree) is None
    assert await first.head() == commit

    second = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w2", first.base_commit)
    await second.restore_commits(bundle, commit)
    (second.root / "stray.txt").write_text("stray\n")
    await second.restore_snapshot(taken.bundle)
    assert git(second.root, "status", "--porcelain") == git(first.root, "status", "--porcelain")
    assert (second.root / "deep" / "new.txt").read_text() == "new\n"
    assert await second.head() == commit
    assert not (second.root / "stray.txt").exists()
    await second.reset(commit)
    assert git(second.root, "status", "--porcelain") == ""


async def test_the_patch_makes_the_same_tree_of_the_base_whatever_was_changed(
    origin: Path, tmp_path: Path, git: Git
) -> None:
    seed = tmp_path / "seed"
    (seed / "logo.bin").write_bytes(bytes(range(256)))
    (seed / "old.bin").write_bytes(b"\0old" * 100)
    (seed / "gone.txt").write_text("gone\n")
    (seed / "latin.txt").write_bytes("caf\u00e9\r\n".encode("latin-1"))
    (seed / "moved.txt").write_text("".join(f"line {n}\n" for n in range(50)))
    (seed / "link").symlink_to("a.txt")
    git(seed, "add", "--all")
    git(seed, "commit", "-q", "-m", "more")
    tree = await open_tree(f"file://{seed}", "", "amelia/x", tmp_path / "w")
    root = tree.root
    (root / "logo.bin").write_bytes(bytes(range(255, -1, -1)))
    (root / "old.bin").rename(root / "new.bin")
    (root / "new.bin").chmod(0o755)
    (root / "gone.txt").unlink()
    (root / "latin.txt").write_bytes("th\u00e9".encode("latin-1"))
    (root / "moved.txt").rename(root / "elsewhere.txt")
    (root / "link").unlink()
    (root / "link").write_bytes(b"no link \0")
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to("logo.bin")
    (root / "empty").touch()
    commit = await tree.commit("all of it", onto=tree.base_commit)

    (tmp_path / "the.patch").write_bytes(await tree.patch())
    git(seed, "apply", "--index", str(tmp_path / "the.patch"))
    assert git(seed, "write-tree") == await tree.content_of(commit)
    assert b"Binary files a/logo.bin and b/logo.bin differ" in await tree.diff()


async def test_a_bundle_without_the_commit_it_should_hold_is_malformed(origin: Path, tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b").write_text("b")
    await tree.commit("b", onto=tree.base_commit)
    with pytest.raises(Malformed, match="does not hold"):
        await tree.restore_commits(await tree.bundle(), "1" * 40)
    with pytest.raises(Malformed, match="cannot be read"):
        await tree.restore_commits(b"not a bundle", "1" * 40)


async def test_a_base_branch_that_is_not_there_is_refused_with_those_that_are(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no branch develop; it has: main, stable"):
        await open_tree(f"file://{origin}", "develop", "amelia/x", tmp_path / "w")


async def test_a_repository_that_is_not_there_or_empty_is_refused(tmp_path: Path, git: Git) -> None:
    with pytest.raises(Refused, match="cannot clone"):
        await open_tree(f"file://{tmp_path}/nothing", "", "amelia/x", tmp_path / "w")
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    with pytest.raises(Refused, match="has no commits"):
        await open_tree(f"file://{tmp_path}/empty.git", "", "amelia/x", tmp_path / "w")


async def test_a_base_commit_that_was_rewritten_away_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no longer holds"):
        await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w", "1" * 40)


async def test_a_command_sees_no_secret_of_ours(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "ANTHROPIC_API_KEY", "AMELIA_DATABASE_URL", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    ended = await tree.run("env; echo home=$HOME; git config --list", 10)
    assert b"hunter2" not in ended.output
    assert b"remote.origin" not in ended.output
    assert f"home={tree.home}".encode() in ended.output
