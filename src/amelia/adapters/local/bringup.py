"""A fleet while it comes up and until it has stopped."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import NoReturn

import msgspec

from amelia.adapters.local import postgres, strays
from amelia.adapters.local.child import Program
from amelia.adapters.local.layout import SILENT, Layout
from amelia.adapters.local.state import LOOPBACK, StateDirectory, write_private
from amelia.adapters.local.supervise import Supervisor
from amelia.errors import Refused, Unavailable

Say = Callable[[str], None]

_READY = "/api/v1/health/ready"
_START_SECONDS = 90.0
STOP_SECONDS = 60.0
_FAILED_STARTS = 3


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """``fleet.json``: where a client finds the fleet. ``ports`` by part; ``pid`` is the supervisor's."""

    url: str
    token_file: str
    pid: int
    started_at: int
    state_dir: str
    ports: dict[str, int]


class Fleet:
    """Of one state directory, from ``up`` on. Whoever holds it calls ``stop``."""

    def __init__(self, state: StateDirectory, layout: Layout, supervisor: "subprocess.Popen[bytes]") -> None:
        self.state = state
        self.layout = layout
        self._daemon = supervisor
        self._supervisor = Supervisor(state.socket_file())
        self._starts: dict[str, set[int]] = {}

    @property
    def url(self) -> str:
        return self.layout.url

    @property
    def pid(self) -> int:
        return self._daemon.pid

    def runs(self) -> bool:
        return self._daemon.poll() is None

    def stop(self) -> None:
        """Raises ``Unavailable`` when something of it is still there afterwards."""
        if self.runs():
            self._daemon.terminate()
            try:
                self._daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        sweep(self.state, self.layout.fleet_id)

    def bring_up(self, say: Say) -> None:
        """Raises ``Unavailable`` naming the part that does not come up; its note is the end of that part's log."""
        self._until(self._answers, "the supervisor")
        for program in self.layout.carriers:
            self._supervisor.start(program)
        for program in self.layout.carriers:
            if program.port and program.name not in ("postgres", "emulator"):
                self._until(_listening(program), program.name)
                say(f"{program.name}  {LOOPBACK}:{program.port}")
        self._bring_up_database(say)
        self._bring_up_aws(say)
        for program in self.layout.services:
            self._supervisor.start(program)
        self._until(lambda: is_ready(self.layout.url), "api", whole=True)
        for name in SILENT:
            self._until(self.state.ready_file(name).exists, name, whole=True)
        for program in self.layout.services:
            say(program.name)

    def record(self) -> None:
        ports = {program.name: program.port for program in self.layout.programs if program.port}
        record = Record(
            url=self.layout.url,
            token_file=self.layout.environ["AMELIA_API_TOKEN_FILE"],
            pid=self.pid,
            started_at=int(time.time()),
            state_dir=str(self.state.root),
            ports=ports,
        )
        write_private(self.state.fleet_file, msgspec.json.format(msgspec.json.encode(record), indent=2).decode())

    def _bring_up_database(self, say: Say) -> None:
        address = self.layout.environ["AMELIA_DATABASE_URL"]
        own = next((p for p in self.layout.carriers if p.name == "postgres"), None)
        if own:
            self._until(_listening(own), "postgres")
            asyncio.run(postgres.create_database(address, 30))
        else:
            asyncio.run(postgres.wait_until_ready(address, 10))
        self._run_once("amelia.adapters.postgres.migrate", "migrating the database")
        say(f"postgres  {LOOPBACK}:{own.port}" if own else "postgres  yours (AMELIA_DATABASE_URL)")

    def _bring_up_aws(self, say: Say) -> None:
        own = next((p for p in self.layout.carriers if p.name == "emulator"), None)
        endpoint = self.layout.environ["AMELIA_AWS_ENDPOINT_URL"]
        if own:
            self._until(self.state.ready_file("emulator").exists, "emulator")
            say(f"emulator  {LOOPBACK}:{own.port}")
        elif endpoint:
            self._run_once(
                "amelia.adapters.aws.provision",
                f"provisioning {endpoint}",
                "--secret-file",
                str(self.state.master_secret_file),
            )
            say(f"aws  {endpoint}")
        else:
            say("aws  AWS itself")

    def _run_once(self, module: str, doing: str, *arguments: str) -> None:
        environ = {**os.environ, **self.layout.environ}
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
            raise Unavailable(f"{doing} failed: {lines[-1]}")

    def _until(self, ready: Callable[[], bool], name: str, *, whole: bool = False) -> None:
        """``whole``: any part that keeps dying ends the wait, not only ``name``."""
        deadline = time.monotonic() + _START_SECONDS
        looked = time.monotonic()
        while not ready():
            time.sleep(0.03)
            if not self.runs():
                self._fail("supervisor", "stopped")
            if time.monotonic() > deadline:
                self._fail(name, f"was not ready within {_START_SECONDS:.0f} s")
            if time.monotonic() > looked + 0.3:
                looked = time.monotonic()
                self._look_for_failures()
        if whole:
            self._look_for_failures()

    def _look_for_failures(self) -> None:
        try:
            parts = self._supervisor.parts()
        except OSError:
            return
        for part in parts:
            starts = self._starts.setdefault(part.name, set())
            starts.add(part.started_at)
            failures = len(starts - {0}) - (part.state not in ("BACKOFF", "EXITED"))
            if failures > 0 and (refusal := _refusal(self.state, part.name)):
                raise Refused(refusal)
            if failures >= _FAILED_STARTS or part.state == "FATAL":
                self._fail(part.name, "keeps failing at start")

    def _fail(self, name: str, what: str) -> NoReturn:
        error = Unavailable(f"{name} {what}; its log is {self.state.logs / f'{name}.log'}")
        error.add_note(log_tail(self.state, name))
        raise error

    def _answers(self) -> bool:
        try:
            return self._supervisor.pid() > 0
        except OSError:
            return False


def is_ready(url: str) -> bool:
    """Whether ``GET /api/v1/health/ready`` answers 200."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=3)
    try:
        connection.request("GET", _READY)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def log_tail(state: StateDirectory, name: str, lines: int = 8) -> str:
    try:
        text = (state.logs / f"{name}.log").read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return "  (it wrote nothing)"
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:]) or "  (it wrote nothing)"


def _refusal(state: StateDirectory, name: str) -> str:
    """What a service said that ended with a sentence of ours; "" when it ended otherwise."""
    said, prefix = log_tail(state, name, lines=1).strip(), f"amelia-{name}: "
    return said.removeprefix(prefix) if said.startswith(prefix) else ""


def sweep(state: StateDirectory, fleet_id: str) -> None:
    """After the supervisor is gone: ends what outlived it."""
    state.fleet_file.unlink(missing_ok=True)
    strays.end(fleet_id)
    postgres.clear_stale(state.postgres)


def _listening(program: Program) -> Callable[[], bool]:
    def listening() -> bool:
        try:
            with socket.create_connection((LOOPBACK, program.port or 0), timeout=1):
                return True
        except OSError:
            return False

    return listening
