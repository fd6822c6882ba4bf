import os
import subprocess
from pathlib import Path

import pytest

from amelia.tools.toolbox import READING, WRITING, Toolbox
from amelia.workspace.tree import Tree, open_tree


@pytest.fixture
async def tree(tmp_path: Path) -> Tree:
    """A worktree whose repository was made by somebody hostile: links lead out of it."""
    seed = tmp_path / "seed"
    (seed / "src").mkdir(parents=True)
    (tmp_path / "secret").write_text("hunter2\n")
    (seed / "src" / "a.py").write_text("one = 1\ntwo = 2\none_more = 1\n")
    (seed / "link").symlink_to(tmp_path / "secret")
    (seed / "folder").symlink_to(tmp_path)
    (seed / ".gitignore").write_text("*.log\n")
    (seed / "picture.bin").write_bytes(b"\xff\xfe\x00\x01")
    identity = {f"GIT_{who}_{what}": "t@t.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=seed, env=os.environ | identity, check=True)
    return await open_tree(f"file://{seed}", "", "amelia/x", tmp_path / "w")


@pytest.fixture
def box(tree: Tree) -> Toolbox:
    return Toolbox(READING | WRITING, tree)
