"""Where a review's comments point, checked against the files that are there."""

from pathlib import PurePosixPath

from msgspec.structs import replace

from ...contract.plan import Comment, Verdict
from ...tools.paths import ToolError, inside
from ...workspace.tree import Tree

LARGEST = 2_000_000
"""Bytes of a file whose lines are counted."""


def misplaced(verdict: Verdict) -> str:
    """What is wrong with the files the comments name, for their author; "" when nothing is."""
    for comment in verdict.comments:
        path = PurePosixPath(comment.file)
        if path.is_absolute() or ".." in path.parts:
            return f"a comment names the file {comment.file!r}; name files relative to the repository's root"
    return ""


async def placed(tree: Tree, verdict: Verdict) -> Verdict:
    """Files under the names that the repository has for them, lines within them. A file that is not there (one that
    should be, say) has no line."""
    listed = await tree.git("diff", "--name-only", "-z", "--no-ext-diff", tree.base_commit, "HEAD")
    changed = tuple(name for name in listed.decode(errors="replace").split("\0") if name)
    return replace(verdict, comments=tuple(_placed(tree, changed, comment) for comment in verdict.comments))


def _placed(tree: Tree, changed: tuple[str, ...], comment: Comment) -> Comment:
    if not comment.file:
        return replace(comment, line=0)
    name = _name(tree, changed, comment.file)
    return replace(comment, file=name, line=min(comment.line, _lines(tree, name)))


def _name(tree: Tree, changed: tuple[str, ...], written: str) -> str:
    name = str(PurePosixPath(written))
    for candidate in (name, name.removeprefix("a/"), name.removeprefix("b/")):
        if candidate in changed or _is_file(tree, candidate):
            return candidate
    ends = [path for path in changed if path.endswith(f"/{name}")]
    return ends[0] if len(ends) == 1 else name


def _is_file(tree: Tree, name: str) -> bool:
    try:
        return inside(tree.root, name).is_file()
    except ToolError:
        return False


def _lines(tree: Tree, name: str) -> int:
    if not _is_file(tree, name):
        return 0
    path = inside(tree.root, name)
    if path.stat().st_size > LARGEST:
        return 0
    return len(path.read_bytes().splitlines())
