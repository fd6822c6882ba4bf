"""The fleet under test: real processes, the emulator behind a proxy, and where to find each of them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from tests.chaos import forge
from tests.chaos.issues import make_repositories
from tests.chaos.proxy import Weather

from amelia.adapters.local import emulator, strays
from amelia.adapters.local.fleet import Fleet, parts, up
from amelia.adapters.local.layout import Options
from amelia.adapters.local.state import StateDirectory, free_port

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 3.0
QUICK = {
    "AMELIA_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "AMELIA_HEARTBEAT_SECONDS": "0.6",
    "AMELIA_SWEEP_SECONDS": "0.5",
    "AMELIA_GAP_SECONDS": "1",
    "AMELIA_RESEND_SECONDS": "0.4",
    "AMELIA_VISIBILITY_SECONDS": "3",
    "AMELIA_MAX_ATTEMPTS": "25",
    "AMELIA_QUARANTINE_MINUTES": "0.2",
}


class Ground:
    """``environ`` is added to the fleet's. Use as a context: it ends everything it started."""

    def __init__(self, root: Path, seed: int, environ: dict[str, str]) -> None:
        self.state = StateDirectory.open(root)
        self.marks = root / "failpoints"
        self.temporary = root / "tmp"
        for folder in (self.marks, self.temporary):
            folder.mkdir()
        self._seed = seed
        self._ports = {name: self.state.port(name) for name in ("emulator", "proxy", "forge", "forge-git")}
        self.proxy = f"http://127.0.0.1:{self._ports['proxy']}"
        self.emulator = emulator.url(self._ports["emulator"])
        self._environ = {
            **QUICK,
            "AMELIA_FAILPOINTS_ONCE": str(self.marks),
            "AMELIA_AWS_ENDPOINT_URL": self.proxy,
            **environ,
        }
        self._fleet: Fleet | None = None
        self._emulator: subprocess.Popen[bytes] | None = None
        self._proxy: subprocess.Popen[bytes] | None = None
        self._forge: subprocess.Popen[bytes] | None = None
        self._forge_root = root / "forge"
        self.repositories: dict[str, Path] = {}
        self.emulator_was_killed = False

    def make_repositories(self, local: int, forged: int) -> None:
        """Where they are, by address."""
        self.repositories = {path.as_uri(): path for path in make_repositories(self.state.root / "repositories", local)}
        web = f"https://127.0.0.1:{self._ports['forge-git']}"
        if forged:
            made = forge.make(self._forge_root, forged)
            self.repositories |= {f"{web}/{name}.git": path for name, path in made.items()}
            os.environ["GIT_SSL_CAINFO"] = str(self._forge_root / "certificate.pem")
            self._environ |= {
                "AMELIA_GITHUB_API_URL": self.forge,
                "AMELIA_GITHUB_WEB_URL": web,
                "AMELIA_GITHUB_TOKEN_FILE": str(self._forge_root / "token"),
            }

    def up(self, conversation: Path) -> None:
        os.environ["TMPDIR"] = str(self.temporary)
        log = self.state.logs / "proxy.log"
        with log.open("ab") as out:
            arguments = [
                "--port",
                self.proxy.rpartition(":")[2],
                "--upstream",
                self.emulator,
                "--seed",
                str(self._seed),
            ]
            command = [sys.executable, "-m", "tests.chaos.proxy", *arguments]
            self._proxy = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
        self.start_forge()
        self.start_emulator()
        _until(self.state.ready_file("emulator").exists)
        options = Options(state_dir=self.state.root, port=free_port(), replay=(conversation,))
        self._fleet = up(self.state, options, lambda _: None, environ={**os.environ, **self._environ})
        self.url = self._fleet.url
        self.token = self.state.token_file.read_text().strip()
        self.agentcore = self._fleet.layout.environ["AMELIA_AGENTCORE_ENDPOINT_URL"]

    def down(self) -> list[str]:
        """Stops it all; returns what was still there afterwards."""
        left: list[str] = []
        if self._fleet is not None:
            self._fleet.stop()
            left += [f"{p.pid} {' '.join(p.cmdline())}" for p in strays.find(self._fleet.layout.fleet_id)]
            left += [str(path) for path in (self.state.agentcore / "sessions").glob("*")]
            left += [str(path) for path in self.temporary.glob("amelia-*")]
        for child in (self._emulator, self._proxy, self._forge):
            if child is not None and child.poll() is None:
                child.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                child.kill()
                child.wait()
        return left

    def start_emulator(self) -> None:
        base = {name: value for name, value in self._environ.items() if name.startswith("AMELIA_")}
        base["AMELIA_AWS_ENDPOINT_URL"] = self.emulator
        program = emulator.program(self.state, self._ports["emulator"], base)
        listing = self.state.run / "emulator.json"
        listing.write_bytes(msgspec.json.encode({program.name: msgspec.structs.replace(program, orphan_signal="KILL")}))
        command = [sys.executable, "-m", "amelia.adapters.local.child", str(listing), program.name]
        with (self.state.logs / "emulator.log").open("ab") as out:
            self._emulator = subprocess.Popen(command, stdout=out, stderr=out)

    @property
    def forge(self) -> str:
        return f"http://127.0.0.1:{self._ports['forge']}"

    def start_forge(self) -> None:
        if self._forge_root.exists():
            ports = ["--api", str(self._ports["forge"]), "--git", str(self._ports["forge-git"])]
            command = [sys.executable, "-m", "tests.chaos.forge", "--root", str(self._forge_root), *ports]
            with (self.state.logs / "forge.log").open("ab") as out:
                self._forge = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)

    async def restart_forge(self) -> bool:
        if self._forge is None:
            return False
        self._forge.kill()
        await asyncio.to_thread(self._forge.wait)
        self.start_forge()
        return True

    async def restart_emulator(self, number: signal.Signals) -> None:
        assert self._emulator is not None
        self.emulator_was_killed |= number == signal.SIGKILL
        self._emulator.send_signal(number)
        await asyncio.to_thread(self._emulator.wait)
        self.start_emulator()

    async def weather(self, client: aiohttp.ClientSession, weather: Weather) -> None:
        async with client.put(f"{self.proxy}/_weather", data=msgspec.json.encode(weather)) as answer:
            answer.raise_for_status()

    async def pid(self, part: str, up_seconds: float = 0) -> int:
        """0 when it is not running just now, or not for so long yet."""
        found = await asyncio.to_thread(parts, self.state)
        return next((p.pid for p in found if p.name == part and p.uptime_seconds >= up_seconds), 0)

    async def ready(self, client: aiohttp.ClientSession) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with client.get(f"{self.url}/api/v1/health/ready", timeout=aiohttp.ClientTimeout(3)) as answer:
                return answer.status == 200
        return False

    async def sessions(self, client: aiohttp.ClientSession) -> dict[str, int]:
        """Processes by workflow id; empty while the stand-in is away."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with client.get(f"{self.agentcore}/_sessions", timeout=aiohttp.ClientTimeout(3)) as answer:
                return {s["id"]: s["pid"] for s in (await answer.json())["sessions"] if s["pid"]}
        return {}

    async def zygote(self, client: aiohttp.ClientSession) -> int:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with client.get(f"{self.agentcore}/_health", timeout=aiohttp.ClientTimeout(3)) as answer:
                return int((await answer.json())["zygote"] or 0)
        return 0

    async def faults(self, client: aiohttp.ClientSession, rules: list[dict[str, Any]], seed: int) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            body = json.dumps({"seed": seed, "rules": rules})
            async with client.put(f"{self.agentcore}/_faults", data=body, timeout=aiohttp.ClientTimeout(3)):
                return


def send(pid: int, number: signal.Signals) -> bool:
    """False when there is no such process. A process group of a session is its leader's alone here: the others die
    with it."""
    if pid <= 1:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _until(ready: Any, seconds: float = 60) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the emulator did not come up; its log is logs/emulator.log")
        time.sleep(0.05)
