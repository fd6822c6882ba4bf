"""A short storm over a real fleet; ``make chaos`` blows the long ones."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def blow(kept: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.chaos", "--keep", str(kept), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_storm_leaves_every_invariant_standing(tmp_path: Path) -> None:
    ended = blow(tmp_path / "storm", "--seed", "1", "--workflows", "8", "--minutes", "0.25", "--pace", "1.5", "--light")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_fleet_with_a_planted_bug_is_caught(tmp_path: Path) -> None:
    ended = blow(tmp_path / "storm", "--seed", "1", "--workflows", "4", "--bound", "20", "--planted", "keys_ignored")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "I1: the key" in ended.stdout
