from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .carriers import Faults
from .world import Fleet

Assemble = Callable[..., Fleet]


@pytest.fixture
def assemble(tmp_path: Path, database_url: str) -> Assemble:
    """A fleet on a fresh database, to be entered."""

    def make(seed: int, *, faults: Faults | None = None, **options: Any) -> Fleet:
        return Fleet(tmp_path, database_url, seed, faults=faults or Faults(), **options)

    return make
