import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w./-]+\.py)`((?:\s+·\s+`[\w.]+`)*)")
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_the_walkthrough_names_what_is_there() -> None:
    found = NAMED.findall((ROOT / "docs" / "walkthrough.md").read_text())
    assert len(found) > 25
    for path, names in found:
        assert (ROOT / path).is_file(), path
        there = set(defined(ast.parse((ROOT / path).read_text())))
        for name in re.findall(r"`([\w.]+)`", names):
            assert name in there, f"{path} has no {name}"


def test_the_pages_name_files_that_are_there() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:src|cli|services|tests|scripts|benchmarks|docs)/[\w./-]+\.\w+)`", page.read_text()
        ):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"


def test_decisions_are_numbered_without_a_hole_and_fit_a_page() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        assert all(f"**{part}.**" in text for part in ("Seen", "Decided", "Consequences")), page.name
        assert len(text.splitlines()) <= 45, page.name


def defined(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and their methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}"
