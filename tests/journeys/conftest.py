import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server
from .carriers import Faults
from .world import Fleet

Assemble = Callable[..., Fleet]


@pytest.fixture
def assemble(tmp_path: Path, postgres_server: Server) -> Assemble:
    """A fleet on a database of its own, to be entered. The seed says what goes wrong.

    What runtimes load when they first work is loaded before: on a slow machine it holds up the loop for a whole lease.
    """
    import_module("amelia.orchestrator.graph")

    def make(seed: int, *, faults: Faults | None = None, **options: Any) -> Fleet:
        return Fleet(tmp_path / str(seed), postgres_server.fresh, seed, faults=faults or Faults(), **options)

    return make


async def beside(seeds: range, journey: Callable[[int], Awaitable[None]]) -> None:
    """The same journey with several seeds at once: most of each is waiting."""

    async def one(seed: int) -> None:
        try:
            await journey(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(one(seed))
