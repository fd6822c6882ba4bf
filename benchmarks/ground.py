"""A fleet to measure: PostgreSQL, emulator, stand-in, api and router as real processes in a directory of their own.

The dispatcher stays away: it would begin to work on everything that is submitted.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from amelia.adapters.local import postgres
from amelia.adapters.local.child import Program
from amelia.adapters.local.layout import Layout, Options, lay_out
from amelia.adapters.local.state import LOOPBACK, StateDirectory, free_port
from amelia.adapters.local.supervise import write_config
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.adapters.postgres.migrate import migrate
from amelia.errors import Unavailable
from amelia.settings import Settings, load

PATIENCE_SECONDS = 40.0
_FOREIGN = ("AMELIA_", "ANTHROPIC_", "OPENAI_", "AWS_")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """``processes`` by part; ``master`` is the master secret in use."""

    state: StateDirectory
    layout: Layout
    settings: Settings
    journal: PostgresJournal
    processes: dict[str, psutil.Process]
    master: bytes

    @property
    def database_url(self) -> str:
        return self.settings.database_url

    @property
    def token(self) -> str:
        return self.state.secret("token")

    def cpu_seconds(self, *parts: str) -> float:
        """User and system time that the parts have taken so far."""
        times = [self.processes[part].cpu_times() for part in parts]
        return float(sum(t.user + t.system for t in times))


@asynccontextmanager
async def prepared() -> AsyncIterator[Ground]:
    """Raises ``Unavailable`` naming the part that does not come up."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amelia-bench-", ignore_cleanup_errors=True))
        state = StateDirectory.open(Path(folder) / "state")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        layout = lay_out(state, Options(state_dir=state.root, port=free_port()), environ)
        settings = load(layout.environ)
        processes = stack.enter_context(_running(state, layout.carriers, environ))
        await _carriers_ready(state, layout, settings)
        processes |= stack.enter_context(_running(state, layout.services, environ, leaving_out="dispatcher"))
        until(lambda: answers(layout.url), "api", state)
        _write_fleet_file(state, layout)
        journal = await PostgresJournal.open(settings.database_url, lease_seconds=600)
        stack.push_async_callback(journal.close)
        yield Ground(
            state=state,
            layout=layout,
            settings=settings,
            journal=journal,
            processes=processes,
            master=_master(state),
        )


async def _carriers_ready(state: StateDirectory, layout: Layout, settings: Settings) -> None:
    await postgres.create_database(settings.database_url, PATIENCE_SECONDS)
    await migrate(settings.database_url)
    until(state.ready_file("emulator").exists, "emulator", state)
    for program in layout.carriers:
        if program.name == "agentcore":
            until(lambda port=program.port: _listens(port), "agentcore", state)  # type: ignore[misc]


@contextmanager
def _running(
    state: StateDirectory, programs: tuple[Program, ...], environ: dict[str, str], leaving_out: str = ""
) -> Iterator[dict[str, psutil.Process]]:
    """Starts them as the supervisor would; whatever still runs at the end is ended."""
    listing = write_config(state, list(programs), environ).parent / "programs.json"
    kept = listing.with_name(f"programs-{programs[0].stage}.json")
    kept.write_bytes(listing.read_bytes())
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for program in programs:
            if program.name != leaving_out:
                command = [sys.executable, "-m", "amelia.adapters.local.child", str(kept), program.name]
                with (state.logs / f"{program.name}.log").open("ab") as log:
                    started[program.name] = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        yield {name: psutil.Process(process.pid) for name, process in started.items()}
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def until(ready: Callable[[], bool], part: str, state: StateDirectory) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            log = state.logs / f"{part}.log"
            said = log.read_text().strip().splitlines()[-1:] if log.exists() else []
            raise Unavailable(f"{part} was not ready within {PATIENCE_SECONDS:.0f} s: {' '.join(said) or 'no word'}")
        time.sleep(0.02)


def answers(url: str) -> bool:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/api/v1/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _write_fleet_file(state: StateDirectory, layout: Layout) -> None:
    """By which ``amelia workflows list`` finds the fleet."""
    state.fleet_file.write_bytes(msgspec.json.encode({"url": layout.url, "token_file": str(state.token_file)}))


def _master(state: StateDirectory) -> bytes:
    until(state.master_secret_file.exists, "emulator", state)
    secret = msgspec.json.decode(state.master_secret_file.read_bytes())
    return bytes.fromhex(secret["keys"][str(secret["current"])])
