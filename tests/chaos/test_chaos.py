"""A short storm over a real fleet; ``make chaos`` blows the long ones."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture
def kept() -> Iterator[Path]:
    """Short: the sockets of a fleet lie in it, and their names may have about a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    yield folder / "s"
    shutil.rmtree(folder, ignore_errors=True)


def blow(kept: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.chaos", "--keep", str(kept), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_storm_leaves_every_invariant_standing(kept: Path) -> None:
    ended = blow(kept, "--seed", "1", "--workflows", "8", "--minutes", "0.17", "--pace", "1", "--light")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_fleet_with_a_planted_bug_is_caught(kept: Path) -> None:
    """By the one story of this seed: its start is asked for twice at once."""
    ended = blow(kept, "--seed", "9", "--workflows", "1", "--bound", "20", "--planted", "keys_ignored")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "I1: the key" in ended.stdout
