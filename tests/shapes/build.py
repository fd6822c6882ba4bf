"""Repositories of different shapes, each with an issue and what the agents say about it.

Every conversation has tasks that are worked at once, two of them changing the same line; a task that fails at first;
and a review that sends the work back.
"""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SHAPES = ("python", "javascript", "monorepo", "hostile")
MARK = "a-canary-outside"
"""In a file beside the repository, where no agent may reach."""


def conversation(shape: str) -> Path:
    return HERE / shape / "conversation.yaml"


def issue(shape: str) -> Path:
    return HERE / shape / "ISSUE.md"


def build(shape: str, folder: Path) -> Path:
    """A repository with one commit on ``main``."""
    repository = folder / "repository"
    shutil.copytree(HERE / shape / "tree", repository)
    git(repository, "init", "-q", "-b", "main")
    if shape == "monorepo":
        _with_submodule(repository, folder)
    if shape == "hostile":
        _with_traps(repository, folder)
    git(repository, "add", "--all")
    git(repository, "commit", "-q", "-m", "as it was")
    return repository


def _with_submodule(repository: Path, folder: Path) -> None:
    shared = folder / "shared"
    shared.mkdir()
    (shared / "README").write_text("Shared by several repositories.\n")
    git(shared, "init", "-q", "-b", "main")
    git(shared, "add", "--all")
    git(shared, "commit", "-q", "-m", "shared")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(shared), "vendor/shared")


def _with_traps(repository: Path, folder: Path) -> None:
    """Links out of the tree, and programs that git would run if it believed the repository."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(f"{MARK}\n")
    (repository / "link.txt").symlink_to(outside / "secret.txt")
    (repository / "linked").symlink_to(outside)
    tripwire = f"#!/bin/sh\necho tripped >> {outside}/tripped\ncat\n"
    for name in ("hooks/pre-commit", "hooks/post-checkout", "hooks/commit-msg", "filter.sh"):
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(tripwire)
        path.chmod(0o755)
    (repository / ".gitattributes").write_text("*.txt filter=trap diff=trap merge=trap\n")
    (repository / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = sub\n\turl = ext::sh -c "echo tripped >> {outside}/tripped"\n'
    )


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=repository, env=env, check=True, capture_output=True, text=True).stdout
