"""A seed is a run: the same to the byte, in whichever process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .world import run

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
"""A machine that is killed leaves some that had not begun."""

_TOLD = "from tests.sim.world import run; print(*(run(seed).digest for seed in (3, 17)))"


def test_a_seed_is_the_same_run_twice() -> None:
    for seed in (1, 2, 5):
        once, again = run(seed), run(seed)
        assert once.digest == again.digest
        assert run(seed + 100).digest != once.digest


def test_a_seed_is_the_same_run_in_processes_that_hash_differently() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", _TOLD],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashing in ("1", "2")
    ]
    assert told[0] == told[1]
