import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amelia_cli.edge import guard
from amelia_cli.main import _run

from ..client.pretend_fleet import TOKEN, PretendFleet, Stage, serving
from .commands import Commands, Ran, nursery

AMELIA = (sys.executable, "-m", "amelia_cli.main")


Amelia = Callable[..., Ran]
Answering = Callable[[list[str], list[tuple[str, str]]], tuple[int, str]]


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serving(stage) as url:
        yield stage, url


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, an empty state directory and none of the caller's settings."""
    for name in [name for name in os.environ if name.startswith(("AMELIA_", "ANTHROPIC_", "OPENAI_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AMELIA_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.com")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def fleet(stage: tuple[Stage, str], monkeypatch: pytest.MonkeyPatch, surroundings: None) -> PretendFleet:
    """A fleet that ``AMELIA_URL`` and ``AMELIA_TOKEN`` name."""
    stage[0].fleet = PretendFleet()
    stage[0].fleet.url = stage[1]
    monkeypatch.setenv("AMELIA_URL", stage[1])
    monkeypatch.setenv("AMELIA_TOKEN", TOKEN)
    return stage[0].fleet


@pytest.fixture
def amelia(capfdbinary: pytest.CaptureFixture[bytes]) -> Amelia:
    """Runs a command in this process."""

    def run(*arguments: str) -> Ran:
        capfdbinary.readouterr()
        code = guard(list(arguments), _run)
        out, err = capfdbinary.readouterr()
        return Ran(code, out.decode(errors="replace"), err.decode())

    return run


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    with nursery() as commands:
        yield commands


@pytest.fixture
def process(commands: Commands) -> Amelia:
    """Runs a command in its own process, without a terminal."""
    return commands.run


@pytest.fixture
def answering(commands: Commands) -> Answering:
    """Runs a command in its own process on a terminal, and answers it."""
    return commands.answer


@pytest.fixture
def interpreter() -> Amelia:
    """Runs a command as people do, from the start of an interpreter on, without a terminal."""

    def run(*arguments: str) -> Ran:
        ended = subprocess.run(
            [*AMELIA, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def repository(surroundings: None) -> Path:
    """A git repository around the current directory, with an issue in it and one commit on ``main``."""
    here = Path.cwd()
    (here / "issue.md").write_text("# Totals are wrong\n\nBy a cent.\n")
    (here / "total.py").write_text("total = round\n")
    for arguments in ("init -q -b main", "add -A", "commit -q -m start"):
        subprocess.run(["git", *arguments.split()], check=True)
    return here
