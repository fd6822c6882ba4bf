"""The rooms of the house, found by looking."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _packages() -> dict[str, Path]:
    services = [path for path in ROOT.glob("services/*/*") if (path / "__init__.py").exists()]
    return {path.name: path for path in (ROOT / "src/amelia", ROOT / "cli/amelia_cli", *sorted(services))}


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    """Import name to folder."""
    return _packages()


@pytest.fixture(scope="session")
def modules(packages: dict[str, Path]) -> dict[str, Path]:
    """Import name to file, of every module we ship."""
    found = {}
    for package, folder in packages.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            found[name] = path
    return found
