import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]
IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "t@t.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@pytest.fixture
def git() -> Git:
    def call(where: Path, *arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=where, env=os.environ | IDENTITY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return call


@pytest.fixture
def origin(tmp_path: Path, git: Git) -> Path:
    """A bare repository with the branches main and stable."""
    seed, bare = tmp_path / "seed", tmp_path / "origin.git"
    seed.mkdir()
    git(seed, "init", "-q", "-b", "main")
    (seed / "a.txt").write_text("a\n")
    (seed / ".gitignore").write_text("ignored/\n")
    git(seed, "add", "--all")
    git(seed, "commit", "-q", "-m", "first")
    git(seed, "branch", "stable")
    git(tmp_path, "clone", "-q", "--bare", str(seed), str(bare))
    return bare
