import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amelia_cli.edge import guard
from amelia_cli.main import _run

from ..client.pretend_fleet import TOKEN, PretendFleet, Stage, serving

AMELIA = (sys.executable, "-m", "amelia_cli.main")


class Ran:
    """What a command left: its exit code and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        assert "Traceback" not in err + out
        self.code, self.out, self.err = code, out, err


Amelia = Callable[..., Ran]


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


@pytest.fixture
def process() -> Amelia:
    """Runs a command in its own process, without a terminal."""

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


def answering(arguments: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Runs on a terminal and types each answer once its question is there, one after the other."""
    ours, theirs = os.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([*AMELIA, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as ran:
        os.close(theirs)
        seen, place, waiting = "", 0, list(answers)
        while True:
            try:
                seen += os.read(ours, 4096).decode(errors="replace")
            except OSError:
                break
            while waiting and waiting[0][0] in seen[place:]:
                question, answer = waiting.pop(0)
                place = seen.index(question, place) + len(question)
                os.write(ours, answer.encode() + b"\n")
        code = ran.wait()
    os.close(ours)
    assert not waiting, seen
    assert "Traceback" not in seen
    return code, seen
