"""The work of agents, brought into a checkout on this machine."""

import json
import subprocess
from pathlib import Path

import pytest

from amelia.contract.views import WorkflowView

from ..client.pretend_fleet import PretendFleet
from .conftest import Amelia
from .test_start_local import CONVERSATION


def git(where: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture
def here(surroundings: None) -> Path:
    """A checkout of ``https://example.com/shop.git`` in the current directory."""
    root = Path.cwd()
    git(root, "init", "-q", "-b", "main")
    (root / "a.txt").write_text("a\n")
    git(root, "add", "a.txt")
    git(root, "commit", "-qm", "first")
    git(root, "remote", "add", "origin", "https://me@example.com/shop.git")
    return root


def worked(
    fleet: PretendFleet, here: Path, file: str = "b.txt", text: str = "b\n", *, id_: str = "wf-1"
) -> WorkflowView:
    """A workflow that has changed a file, in a clone of its own."""
    elsewhere = here.parent / f"{id_}-{file}"
    git(here, "clone", "-q", "--no-local", str(here), str(elsewhere))
    git(elsewhere, "checkout", "-q", "-b", "amelia/x")
    (elsewhere / file).write_text(text)
    git(elsewhere, "add", "--all")
    git(elsewhere, "commit", "-qm", f"{file}\n\nAmelia-Workflow: {id_}")
    bundle = elsewhere / "work.bundle"
    git(elsewhere, "bundle", "create", "--quiet", str(bundle), "main..amelia/x")
    fleet.bundle = bundle.read_bytes()
    commit = git(elsewhere, "rev-parse", "HEAD")
    known = {"id": id_, "status": "completed", "branch": "amelia/x", "commit": commit}
    return fleet.add(**known, repository="https://example.com/shop.git")


def test_the_work_becomes_a_branch_and_nothing_else_moves(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = worked(fleet, here)
    (here / "a.txt").write_text("mine\n")
    ran = amelia("workflows", "apply", view.id)
    assert (ran.code, ran.err) == (0, "")
    assert f"the branch amelia/x is at {view.commit[:12]}" in ran.out
    assert git(here, "rev-parse", "amelia/x") == view.commit
    assert git(here, "branch", "--show-current") == "main"
    assert (here / "a.txt").read_text() == "mine\n"
    assert "is already at" in amelia("workflows", "apply", view.id).out


def test_programs_are_told_what_moved(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = worked(fleet, here)
    said = json.loads(amelia("workflows", "apply", view.id, "--branch", "mine", "--checkout", "--output", "json").out)
    assert said["branch"] == "mine"
    assert (said["was"], said["checked_out"], said["merged_into"]) == ("", True, "")
    assert (here / "b.txt").exists()


def test_it_is_merged_where_that_works_and_undone_where_not(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = worked(fleet, here, "a.txt", "theirs\n")
    (here / "c.txt").write_text("c\n")
    git(here, "add", "c.txt")
    git(here, "commit", "-qm", "c")
    assert "merged into main" in amelia("workflows", "apply", view.id, "--merge").out
    assert (here / "a.txt").read_text() == "theirs\n"

    git(here, "reset", "-q", "--hard", "HEAD~1")
    (here / "a.txt").write_text("mine\n")
    git(here, "commit", "-qam", "mine")
    ran = amelia("workflows", "apply", view.id, "--merge")
    assert ran.code == 5
    assert "contradicts main in a.txt" in ran.err
    assert (here / "a.txt").read_text() == "mine\n"
    assert git(here, "status", "--porcelain") == ""


def test_commits_of_somebody_else_are_let_go_only_by_force(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = worked(fleet, here)
    git(here, "checkout", "-q", "-b", "amelia/x")
    git(here, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = git(here, "rev-parse", "HEAD")
    git(here, "checkout", "-q", "main")
    ran = amelia("workflows", "apply", view.id)
    assert ran.code == 5
    assert "holds 1 commit that wf-1 did not make" in ran.err
    assert git(here, "rev-parse", "amelia/x") == mine
    assert f"was {mine[:12]} and is now" in amelia("workflows", "apply", view.id, "--force").out


def test_an_earlier_result_of_the_same_workflow_makes_room(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    amelia("workflows", "apply", worked(fleet, here).id)
    view = worked(fleet, here, "c.txt")
    assert amelia("workflows", "apply", view.id).code == 0
    assert git(here, "rev-parse", "amelia/x") == view.commit


def test_a_branch_that_is_checked_out_moves_on_only_with_its_files(
    amelia: Amelia, fleet: PretendFleet, here: Path
) -> None:
    view = worked(fleet, here)
    git(here, "checkout", "-q", "-b", "amelia/x")
    was = git(here, "rev-parse", "HEAD")
    ran = amelia("workflows", "apply", view.id)
    assert (ran.code, "let them go on too with --merge, or give another name with --branch" in ran.err) == (5, True)
    assert (git(here, "rev-parse", "HEAD"), git(here, "status", "--porcelain")) == (was, "")
    (here / "b.txt").write_text("in the way\n")
    ran = amelia("workflows", "apply", view.id, "--merge")
    assert ran.code == 5
    assert "amelia/x is checked out, and does not go on: error:" in ran.err
    assert ran.err.endswith(": b.txt\n")
    (here / "b.txt").unlink()
    assert amelia("workflows", "apply", view.id, "--merge").code == 0
    assert (here / "b.txt").read_text() == "b\n"

    git(here, "checkout", "-q", "main")
    git(here, "worktree", "add", "-q", str(here.parent / "other"), "amelia/x")
    newer = worked(fleet, here, "c.txt")
    ran = amelia("workflows", "apply", newer.id)
    assert ran.code == 5
    assert "is checked out in" in ran.err


def test_changes_in_the_way_of_a_checkout_stay(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = worked(fleet, here, "a.txt", "theirs\n")
    (here / "a.txt").write_text("mine\n")
    ran = amelia("workflows", "apply", view.id, "--checkout")
    assert ran.code == 5
    assert "not checked out" in ran.err
    assert (here / "a.txt").read_text() == "mine\n"


def test_another_repository_is_refused_and_one_that_is_behind_told_to_fetch(
    amelia: Amelia, fleet: PretendFleet, here: Path, tmp_path: Path
) -> None:
    view = worked(fleet, here)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    ran = amelia("workflows", "apply", view.id, "--repo", str(other))
    assert ran.code == 2
    assert "name a checkout of https://example.com/shop.git" in ran.err
    git(other, "remote", "add", "up", "https://example.com/shop")
    assert "run git fetch up there" in amelia("workflows", "apply", view.id, "--repo", str(other)).err
    assert "is in no git repository" in amelia("workflows", "apply", view.id, "--repo", str(tmp_path)).err


def test_it_is_pushed_when_asked_and_never_backwards(
    amelia: Amelia, fleet: PretendFleet, here: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "shop.git"
    git(tmp_path, "clone", "-q", "--bare", str(here), str(bare))
    git(here, "remote", "set-url", "origin", str(bare))
    view = worked(fleet, here)
    amelia("workflows", "apply", view.id)
    assert "amelia/x" not in git(bare, "branch")
    assert "pushed to origin" in amelia("workflows", "apply", view.id, "--push").out
    assert git(bare, "rev-parse", "amelia/x") == view.commit

    git(bare, "branch", "-f", "taken", git(bare, "commit-tree", "-m", "theirs", "main^{tree}"))
    ran = amelia("workflows", "apply", view.id, "--branch", "taken", "--push")
    assert ran.code == 5
    assert "taken is there, but origin does not take it" in ran.err


def test_no_hook_of_the_work_runs(amelia: Amelia, fleet: PretendFleet, here: Path, tmp_path: Path) -> None:
    git(here, "config", "core.hooksPath", "hooks")
    view = worked(fleet, here, "x")
    hook = here / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    assert amelia("workflows", "apply", view.id, "--checkout").code == 0
    assert not (tmp_path / "hooked").exists()


def test_there_is_nothing_to_apply_yet(amelia: Amelia, fleet: PretendFleet, here: Path) -> None:
    view = fleet.add(status="in_progress", branch="amelia/x")
    fleet.bundle = None
    ran = amelia("workflows", "apply", view.id)
    assert ran.code == 4
    assert "has handed in no work yet" in ran.err
    fleet.bundle = b"# v2 git bundle\n"
    assert "cannot be read" in amelia("workflows", "apply", view.id).err
    assert amelia("workflows", "apply", view.id, "--merge", "--checkout").code == 2


def test_what_was_worked_here_is_pushed_when_asked(
    process: Amelia, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMELIA_DRIVER", "api:bedrock")
    conversation = tmp_path / "conversation.yaml"
    conversation.write_text(CONVERSATION.replace("LATENCY", "0"))
    bare = tmp_path / "shop.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    ran = process("start", "issue.md", "--replay", str(conversation), "--auto-approve", "--wait", "--output", "json")
    work = json.loads(ran.out)
    assert (ran.code, work["branch"] in git(bare, "branch")) == (0, False), ran.err

    applied = process("workflows", "apply", work["id"], "--local", "--checkout", "--push")
    assert (applied.code, applied.err) == (0, "")
    assert "is already at" in applied.out
    assert git(bare, "rev-parse", work["branch"]) == work["commit"]
    assert (repository / "total.py").read_text() == "total = int\n"
