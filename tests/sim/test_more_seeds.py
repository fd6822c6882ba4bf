"""Another hundred seeds, in a file of their own so that they run beside the first."""

import pytest

from .test_seeds import TOGETHER
from .world import run

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
"""A machine that is killed leaves some that had not begun."""

SEEDS = range(100, 200)


@pytest.mark.parametrize("first", SEEDS[::TOGETHER])
def test_no_seed_breaks_an_invariant(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        assert run(seed).violations == [], f"SEED={seed} python -m tests.sim"
