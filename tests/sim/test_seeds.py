"""The simulated fleet under a few hundred seeds; ``make chaos-sim`` runs many more."""

import pytest

from .world import run

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
"""A machine that is killed leaves some that had not begun."""

SEEDS = range(100)
TOGETHER = 10
ONCE_FAILED = (10547, 201141, 301382, 401314, 601671)
"""Seeds that found something when they were first run."""


@pytest.mark.parametrize("first", SEEDS[::TOGETHER])
def test_no_seed_breaks_an_invariant(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        assert run(seed).violations == [], f"SEED={seed} python -m tests.sim"


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_what_was_found_once_stays_mended(seed: int) -> None:
    assert run(seed).violations == []
