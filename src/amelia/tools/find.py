"""Looking around in the repository."""

from fnmatch import fnmatchcase
from typing import Annotated

import msgspec
from msgspec import Meta

from ..domain.policy import glob_pattern
from ..workspace.spawn import Exit
from ..workspace.tree import Tree
from .paths import ToolError, inside

MOST_FILES = 1_000
MOST_MATCHES = 200
LONGEST_MATCH = 400
SEARCH_SECONDS = 20
_NO_PERL = b"Perl-compatible"


class ListFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    glob: Annotated[str, Meta(description="such as src/*.py; * also matches slashes; empty means all")] = ""
    path: Annotated[str, Meta(description="a folder; empty means everywhere")] = ""


class Glob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[
        str, Meta(min_length=1, description="such as src/**/test_*.py; * stays within a folder, **/ is any folders")
    ]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pattern: Annotated[str, Meta(min_length=1, description="a Perl-compatible regular expression")]
    path: Annotated[str, Meta(description="a file or folder to look in; empty means everywhere")] = ""
    glob: Annotated[str, Meta(description="only files whose path matches, such as *.py or src/**/*.ts")] = ""
    ignore_case: bool = False
    context: Annotated[int, Meta(ge=0, le=20, description="lines shown before and after each match")] = 0
    names_only: Annotated[bool, Meta(description="only the names of the files that have a match")] = False


async def list_files(tree: Tree, wanted: ListFiles) -> str:
    folder = _relative(tree, wanted.path)
    names = [n for n in await _names(tree) if not folder or n == folder or n.startswith(f"{folder}/")]
    found = [n for n in names if not wanted.glob or fnmatchcase(n, wanted.glob.removeprefix("./"))]
    if not found:
        where = f" in {wanted.path}" if folder else ""
        return f"no file matches {wanted.glob}{where}" if wanted.glob or folder else "the repository has no files"
    return _some(found, "use a glob")


async def glob(tree: Tree, wanted: Glob) -> str:
    meant = glob_pattern(wanted.pattern.removeprefix("./"))
    found = [name for name in await _names(tree) if meant.fullmatch(name)]
    return _some(found, "use a narrower pattern") if found else f"no file matches {wanted.pattern}"


async def search(tree: Tree, wanted: Search) -> str:
    ended = await _grep(tree, wanted, "-P")
    if ended.code > 1 and _NO_PERL in ended.errors and b"compiled" in ended.errors:
        ended = await _grep(tree, wanted, "-E")
    if ended.timed_out:
        raise ToolError(f"the search took more than {SEARCH_SECONDS} s; use a simpler pattern or a path")
    if ended.code > 1 or ended.code < 0:
        raise ToolError(f"the search failed: {ended.last_line}")
    lines = [line[:LONGEST_MATCH] for line in ended.output.decode(errors="replace").splitlines()]
    more = [f"… {len(lines) - MOST_MATCHES} more lines"] if len(lines) > MOST_MATCHES else []
    return "\n".join([*lines[:MOST_MATCHES], *more]) or "no match"


async def _grep(tree: Tree, wanted: Search, dialect: str) -> Exit:
    options = [*(["-i"] if wanted.ignore_case else []), *([f"-C{wanted.context}"] if wanted.context else [])]
    options += ["--name-only"] if wanted.names_only else ["--line-number"]
    return await tree.git.attempt(
        *("grep", "-I", "--untracked", "--no-color", "--no-textconv", *options, dialect, "-e", wanted.pattern),
        *("--", *_pathspecs(tree, wanted)),
        timeout=SEARCH_SECONDS,
    )


def _pathspecs(tree: Tree, wanted: Search) -> list[str]:
    folder = _relative(tree, wanted.path)
    if not wanted.glob:
        return [f":(literal){folder}"] if folder else []
    asked = wanted.glob.removeprefix("./")
    below = asked if "/" in asked else f"**/{asked}"
    escaped = "".join(f"\\{sign}" if sign in "*?[\\" else sign for sign in folder)
    return [f":(glob){escaped}/{below}" if folder else f":(glob){below}"]


def _relative(tree: Tree, path: str) -> str:
    """ "" for the root."""
    if path in ("", ".", "./"):
        return ""
    return inside(tree.root, path).relative_to(tree.root.resolve()).as_posix().removeprefix(".")


async def _names(tree: Tree) -> list[str]:
    """Of all files that are not ignored."""
    listed = await tree.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    return sorted(name for name in listed.decode(errors="replace").split("\0") if name)


def _some(names: list[str], way_out: str) -> str:
    more = [f"… {len(names) - MOST_FILES} more; {way_out}"] if len(names) > MOST_FILES else []
    return "\n".join([*names[:MOST_FILES], *more])
