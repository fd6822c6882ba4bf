"""The checks see: each planted bug is found by one of a few seeds, as what it is; without it that seed is clean."""

import pytest

from .planted import BUGS
from .world import run

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
"""A machine that is killed leaves some that had not begun."""

MOST_SEEDS = 80


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    invariants, plant, first, weather = BUGS[name]
    for seed in range(first, first + MOST_SEEDS):
        with plant():
            violations = run(seed, weather=weather).violations
        if violations:
            assert violations[0].invariant in invariants, str(violations[0])
            assert run(seed, weather=weather).violations == [], "and nothing without it"
            return
    raise AssertionError(f"{MOST_SEEDS} seeds did not find it")
