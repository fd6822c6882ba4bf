from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _module(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def writer() -> ModuleType:
    """``scripts/schemas.py``."""
    return _module(ROOT / "scripts" / "schemas.py")


@pytest.fixture(scope="session")
def made(writer: ModuleType) -> dict[str, bytes]:
    documents: dict[str, bytes] = writer.documents()
    return documents


@pytest.fixture(scope="session")
def json_schema() -> ModuleType:
    return _module(Path(__file__).parent / "json_schema.py")
