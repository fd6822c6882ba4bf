"""Unified diffs, as agents write them."""

from typing import Any

from amelia.drivers.base import ToolCall
from amelia.tools.toolbox import Answer, Toolbox
from amelia.workspace.tree import Tree

GOOD = """--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,3 @@
 one = 1
-two = 2
+two = 3
 one_more = 1
--- /dev/null
+++ b/new/b.py
@@ -0,0 +1,1 @@
+b = 1
"""


async def patched(box: Toolbox, patch: str, **more: Any) -> Answer:
    return await box.use(ToolCall("1", "apply_patch", {"patch": patch, **more}))


async def test_a_patch_changes_and_creates_files(box: Toolbox, tree: Tree) -> None:
    answer = await patched(box, GOOD)
    assert answer.content == "changed src/a.py (+1 -1)\nchanged new/b.py (+1 -0)"
    assert (tree.root / "src" / "a.py").read_text() == "one = 1\ntwo = 3\none_more = 1\n"
    assert (tree.root / "new" / "b.py").read_text() == "b = 1\n"


async def test_a_patch_may_count_wrongly_have_no_prefix_and_come_in_a_fence(box: Toolbox, tree: Tree) -> None:
    patch = GOOD.replace("@@ -1,3 +1,3 @@", "@@ -1,9 +1,7 @@").replace("a/src", "src").replace("b/", "").rstrip()
    assert (await patched(box, f"```diff\n{patch}\n```")).ok
    assert "two = 3" in (tree.root / "src" / "a.py").read_text()


async def test_a_patch_that_does_not_fit_changes_nothing_and_shows_what_is_there(box: Toolbox, tree: Tree) -> None:
    answer = await patched(box, GOOD.replace("-two = 2", "-two = 5"))
    assert not answer.ok
    assert answer.content.startswith("nothing was changed: patch failed: src/a.py:1; src/a.py: patch does not apply")
    assert "src/a.py has there:\n1: one = 1\n2: two = 2" in answer.content
    assert not (tree.root / "new").exists()


async def test_a_patch_can_delete_and_rename(box: Toolbox, tree: Tree) -> None:
    renamed = "diff --git a/src/a.py b/src/c.py\nsimilarity index 100%\nrename from src/a.py\nrename to src/c.py\n"
    assert (await patched(box, renamed)).content == "changed src/c.py (+0 -0)"
    deleted = "--- a/.gitignore\n+++ /dev/null\n@@ -1 +0,0 @@\n-*.log\n"
    assert (await patched(box, deleted)).ok
    assert not (tree.root / ".gitignore").exists()
    assert (tree.root / "src" / "c.py").exists()


async def test_a_patch_reaches_nothing_outside_the_worktree(box: Toolbox, tree: Tree) -> None:
    before = (tree.root.parent.parent / "secret").read_text()
    for name in ("../secret", "link", "folder/secret", "/etc/passwd", ".git/config", ".git/hooks/post-commit"):
        for patch in (
            f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-hunter2\n+x\n",
            f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n",
            f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-hunter2\n+x\n",
        ):
            assert not (await patched(box, patch)).ok, patch
    assert (tree.root.parent.parent / "secret").read_text() == before


async def test_what_is_no_patch_is_an_answer_with_a_way_out(box: Toolbox) -> None:
    assert "begin each file with the lines" in (await patched(box, "change two to three")).content
    assert "nothing was changed" in (await patched(box, "--- a/src/a.py\n+++ b/src/a.py\n@@ what @@\n")).content
