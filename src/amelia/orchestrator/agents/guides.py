"""What a repository says about work on it: its guides, and the signs of how its tests are run."""

import re
from pathlib import PurePosixPath

import msgspec

from ...tools.toolbox import one_line, shorten
from ...workspace.tree import Tree
from .material import fenced

GUIDES = ("AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md", ".github/CONTRIBUTING.md", "docs/CONTRIBUTING.md")
"""Read whole, in this order. Others of these names, deeper in the tree, are only listed."""
SIGNS = (
    *("package.json", "deno.json", "pyproject.toml", "pytest.ini", "tox.ini", "noxfile.py", "setup.cfg"),
    *("Makefile", "justfile", "Justfile", "Taskfile.yml", "Cargo.toml", "go.mod", "pom.xml", "build.gradle"),
    *("build.gradle.kts", "Rakefile", "Gemfile", "composer.json", "mix.exs", "CMakeLists.txt"),
)
LONGEST_GUIDE = 12_000
LONGEST_GUIDES = 24_000
"""Characters; what is over them an agent reads for itself."""
MOST_SIGNS = 20
LARGEST = 200_000
_DEEPEST = 3
_TESTS = re.compile(r"test|check|spec|lint", re.IGNORECASE)
_TARGET = re.compile(r"^([\w.-]*(?:test|check|spec|lint)[\w.-]*)\s*:(?!=)", re.MULTILINE | re.IGNORECASE)
_RUN = re.compile(r"^\s*(?:-\s*)?run:\s*(\S.*)$", re.MULTILINE)
_REGULAR = frozenset({b"100644", b"100755"})


class Blob(msgspec.Struct, frozen=True):
    path: str
    name: str
    """git's name of its content."""


async def guides(tree: Tree) -> str:
    """The texts of the guides, each in its fence; "" when there are none. Links are not followed, and what two names
    stand for is shown once."""
    names = tuple(dict.fromkeys(guide.rsplit("/", 1)[-1] for guide in GUIDES))
    found = {blob.path: blob for blob in await _tracked(tree, *(f":(glob)**/{name}" for name in names))}
    shown: dict[str, str] = {}
    room = LONGEST_GUIDES
    for blob in (found.pop(path) for path in GUIDES if path in found):
        text = "" if blob.name in shown or room <= 0 else await _text(tree, blob)
        if text.strip():
            shown[blob.name] = fenced("file", shorten(text, min(LONGEST_GUIDE, room)), path=blob.path)
            room -= len(text)
    more = ", ".join(sorted(found)[:MOST_SIGNS])
    deeper = f"For parts of the repository there are also {more}; read those of the parts you touch." if more else ""
    if not shown and not deeper:
        return ""
    said = "What the repository says about work on it. Follow it as far as it is about code and tests:"
    return "\n\n".join(filter(None, (said if shown else "", *shown.values(), deeper)))


async def signs(tree: Tree) -> str:
    """How the tests are probably run, by the files that say so; "" when nothing does."""
    blobs = await _tracked(tree, *(f":(glob)**/{name}" for name in SIGNS), ":(glob).github/workflows/*.y*ml")
    near = sorted((b for b in blobs if b.path.count("/") < _DEEPEST), key=lambda b: (b.path.count("/"), b.path))
    lines = [f"- {blob.path}{_sign(blob.path, await _text(tree, blob))}" for blob in near[:MOST_SIGNS]]
    if not lines:
        return ""
    return f"Signs of how the project is built and tested:\n\n{fenced('signs', chr(10).join(lines))}"


def _sign(path: str, text: str) -> str:
    name = PurePosixPath(path).name
    if name in ("package.json", "composer.json", "deno.json"):
        found = [f"{script} = {one_line(command)}" for script, command in _scripts(text) if _TESTS.search(script)]
    elif name.lower() in ("makefile", "justfile") or name == "Taskfile.yml":
        found = [match[1] for match in _TARGET.finditer(text) if not match[1].startswith(".")]
    elif path.startswith(".github/workflows/"):
        found = [one_line(match[1]) for match in _RUN.finditer(text) if _TESTS.search(match[1])]
    elif name in ("pyproject.toml", "setup.cfg", "tox.ini"):
        found = [word for word in ("pytest", "unittest", "tox", "nox", "hatch", "ruff", "mypy") if word in text]
    else:
        found = []
    return f": {'; '.join(dict.fromkeys(found[:8]))}" if found else ""


def _scripts(text: str) -> list[tuple[str, str]]:
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return []
    scripts = (said.get("scripts") or said.get("tasks")) if isinstance(said, dict) else None
    return [(str(name), str(command)) for name, command in scripts.items()] if isinstance(scripts, dict) else []


async def _tracked(tree: Tree, *patterns: str) -> list[Blob]:
    """Regular files of the index: no links, no submodules."""
    listed = await tree.git("ls-files", "--stage", "-z", "--", *patterns)
    found: list[Blob] = []
    for entry in listed.split(b"\0"):
        head, _, path = entry.partition(b"\t")
        mode, _, rest = head.partition(b" ")
        if mode in _REGULAR:
            found.append(Blob(path.decode(errors="replace"), rest.split(b" ")[0].decode()))
    return found


async def _text(tree: Tree, blob: Blob) -> str:
    """ "" for one that is too large or not there."""
    ended = await tree.git.attempt("cat-file", "blob", blob.name)
    return "" if ended.code or len(ended.output) > LARGEST else ended.output.decode(errors="replace").replace("\0", "")
