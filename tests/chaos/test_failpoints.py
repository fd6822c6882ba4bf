"""Named places at which a program dies when it is told to, and at no other time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amelia.errors import Refused, Unavailable
from amelia.failpoints import Failpoints

_PASSES = "from amelia.failpoints import reach\nfor n in range(1, 9): reach('pushed'); print(n, flush=True)"


def run(**environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", _PASSES], env=environ, capture_output=True, text=True)


def test_a_program_dies_at_the_pass_that_is_named(tmp_path: Path) -> None:
    once = {"AMELIA_FAILPOINTS": "pushed=kill@3", "AMELIA_FAILPOINTS_ONCE": str(tmp_path)}
    died = run(**once)
    assert died.returncode == -signal.SIGKILL
    assert died.stdout.split() == ["1", "2"]
    assert run(**once).returncode == 0, "its successor is spared"
    assert [mark.name for mark in tmp_path.iterdir()] == ["pushed.3"]


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    assert run().returncode == 0
    assert run(AMELIA_FAILPOINTS="relayed=kill@1").returncode == 0


def test_the_same_seed_strikes_at_the_same_passes() -> None:
    def struck(seed: str) -> list[int]:
        failpoints = Failpoints.read({"AMELIA_FAILPOINTS": f"*=error%0.1;seed={seed}"})
        found = []
        for number in range(300):
            try:
                failpoints.passing("relayed")
            except Unavailable:
                found.append(number)
        return found

    assert struck("7") == struck("7")
    assert 10 < len(struck("7")) < 60
    assert struck("7") != struck("8")


@pytest.mark.parametrize("text", ["nowhere=kill@1", "pushed=explode@1", "pushed=kill@soon", "pushed"])
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="AMELIA_FAILPOINTS"):
        Failpoints.read({"AMELIA_FAILPOINTS": text})
