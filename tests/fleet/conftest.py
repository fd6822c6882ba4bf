import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amelia.adapters.local.child import Program
from amelia.adapters.local.state import StateDirectory
from amelia.adapters.local.supervise import write_config

Start = Callable[[StateDirectory, Program], "subprocess.Popen[bytes]"]


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory.open(tmp_path / "state")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program as the supervisor would; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(state: StateDirectory, program: Program) -> "subprocess.Popen[bytes]":
        listing = write_config(state, [program]).parent / "programs.json"
        command = [sys.executable, "-m", "amelia.adapters.local.child", str(listing), program.name]
        with (state.logs / f"{program.name}.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.05)

    return wait


Amelia = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def amelia() -> Amelia:
    """The command, in an environment without credentials or settings of the caller's."""
    foreign = ("AMELIA_", "ANTHROPIC_", "OPENAI_", "AWS_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "amelia_cli.main", *arguments]
        return subprocess.run(command, env=environ | more, capture_output=True, text=True, check=False, timeout=110)

    return run
