import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest

Serve = Callable[..., httpx2.Client]


@contextmanager
def serving(files: list[Path]) -> Iterator[httpx2.Client]:
    """A client of a real replay server, in a process of its own."""
    conversations = [word for file in files for word in ("--conversation", str(file))]
    command = [sys.executable, "-m", "amelia_replay", "--port", "0", *conversations]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().split()[-1]
            with httpx2.Client(base_url=address, trust_env=False) as client:
                yield client
        finally:
            server.send_signal(signal.SIGTERM)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server on files given as ``name="text"``; call it again for another one."""
    with ExitStack() as running:

        def start(**files: str) -> httpx2.Client:
            paths = []
            for name, text in files.items():
                path = tmp_path / f"{name}.yaml"
                path.write_text(dedent(text), encoding="utf-8")
                paths.append(path)
            return running.enter_context(serving(paths))

        yield start
