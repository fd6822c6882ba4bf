"""Looking around in the repository."""

from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Meta

from ..workspace.tree import Tree
from .paths import ToolError, inside

MOST_FILES = 1_000
MOST_MATCHES = 200
SEARCH_SECONDS = 20


class ListFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    glob: Annotated[str, Meta(description="such as src/*.py; * also matches slashes; empty means all")] = ""


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, Meta(min_length=1, description="a Perl-compatible regular expression")]
    path: Annotated[str, Meta(description="a file or folder to look in; empty means everywhere")] = ""


async def list_files(tree: Tree, wanted: ListFiles) -> str:
    listed = await tree.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    names = sorted(name for name in listed.decode(errors="replace").split("\0") if name)
    found = [n for n in names if not wanted.glob or fnmatchcase(n, wanted.glob.removeprefix("./"))]
    if not found:
        return f"no file matches {wanted.glob}" if wanted.glob else "the repository has no files"
    more = [f"… {len(found) - MOST_FILES} more; use a glob"] if len(found) > MOST_FILES else []
    return "\n".join([*found[:MOST_FILES], *more])


async def search(tree: Tree, wanted: Search) -> str:
    where = [str(inside(tree.root, wanted.path).relative_to(tree.root.resolve()))] if wanted.path else []
    ended = await tree.git.attempt(
        *("grep", "--line-number", "-I", "--untracked", "--no-color", "--no-textconv", "-P", "-e", wanted.pattern),
        *("--", *where),
        timeout=SEARCH_SECONDS,
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )
    if ended.timed_out:
        raise ToolError(f"the search took more than {SEARCH_SECONDS} s; use a simpler pattern or a path")
    if ended.code > 1:
        raise ToolError(f"the search failed: {ended.last_line}")
    lines = [line[:400] for line in ended.output.decode(errors="replace").splitlines()]
    more = [f"… {len(lines) - MOST_MATCHES} more matches"] if len(lines) > MOST_MATCHES else []
    return "\n".join([*lines[:MOST_MATCHES], *more]) or "no match"
