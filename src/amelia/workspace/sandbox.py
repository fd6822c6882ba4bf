"""How a command of an agent is kept from what is not its own, by the best means this machine has."""

import asyncio
import contextlib
import ipaddress
import logging
import marshal
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from ..errors import Refused
from . import jail, sandbox_groups
from .sandbox_settings import Kind, Network, SandboxSettings, sandbox_settings
from .sandbox_view import SECRETS, Place, make_tmp, readable, without_secrets
from .spawn import Exit, spawn
from .trusted import trusted_for

DENIED = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32")
"""Link-local addresses, where AWS, Google and Azure answer with credentials, and those that are elsewhere."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")
PROBE_SECONDS = 20
JAIL = "import sys; sys.path.append(sys.argv.pop(1)); import jail; sys.exit(jail.main(sys.argv))"
"""Imported as a module, so that it is compiled once."""
NOBODY = "65534"
log = logging.getLogger(__name__)


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What works here. ``grouped``: control groups can be made. ``bare``: nothing can be bounded at all."""

    kind: Kind
    network: Network
    grouped: bool = False
    bare: bool = False

    @property
    def sentence(self) -> str:
        """For people, when a run begins."""
        how = {
            "bwrap": "Commands run in namespaces of their own (bubblewrap)",
            "landlock": "Commands run confined by Landlock: they read the system and their tools, and write their "
            "worktree and home alone",
        }.get(self.kind, "Commands run WITHOUT a sandbox: they can read and write what this account can")
        net = {"guarded": "cannot reach metadata addresses", "open": "have the whole network", "off": "have no network"}
        if self.bare:
            return f"{how}; they {net[self.network]}, and nothing bounds them but their time."
        bound = "memory and processes are bounded together" if self.grouped else "memory is bounded by process"
        return f"{how}; they {net[self.network]}, and {bound}."


class Sandbox:
    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self._means: Means | None = None
        self._probing: asyncio.Task[Means] | None = None

    async def means(self) -> Means:
        """Found out once, and said in the log. Raises ``Refused`` when what the settings demand does not work here."""
        if self._means is None:
            found = await _find_means(self)
            if self._means is None:
                self._means = found
                log.log(logging.WARNING if found.kind == "off" else logging.INFO, "%s", found.sentence)
        return self._means

    async def run(
        self, command: str, place: Place, seconds: float, *, limit: int = 0, whole: Path | None = None
    ) -> Exit:
        """``/bin/sh`` with ``command`` in the worktree; see ``spawn`` for ``limit`` and ``whole``."""
        return await self.attempt(await self.means(), command, place, seconds, limit=limit, whole=whole)

    async def attempt(
        self, means: Means, command: str, place: Place, seconds: float, *, limit: int = 0, whole: Path | None = None
    ) -> Exit:
        make_tmp(place)
        with self._group(means) as groups:
            return await spawn(
                self._words(means, command, place, seconds, groups),
                cwd=place.root,
                env=self._environment(means, place),
                timeout=seconds,
                merge=True,
                limit=limit,
                whole=whole,
            )

    @contextlib.contextmanager
    def _group(self, means: Means) -> Iterator[tuple[str, ...]]:
        if not means.grouped:
            yield ()
            return
        with sandbox_groups.group(self.settings.memory_mb, self.settings.processes) as groups:
            yield groups

    def _words(self, means: Means, command: str, place: Place, seconds: float, groups: tuple[str, ...]) -> list[str]:
        told: dict[str, object] = {"limits": self._limits(seconds), "groups": groups}
        words = ["/bin/sh", "-c", command]
        if means.kind == "bwrap":
            words = [*_bubble(place, self.settings, means), *_bounded(self.settings.processes), *words]
        else:
            told["limits"] = self._limits(seconds) | _beside_others(self.settings.processes)
            told["drop"] = self.settings.kind != "off"
        if means.kind == "landlock":
            seen = without_secrets(readable(self.settings.readable))
            told["read"] = ["/proc", *seen]
            told["write"] = [*DEVICES, "/dev/shm", str(place.tmp), *map(str, place.writable)]  # noqa: S108 - shared memory
        if means.network == "guarded":
            told["denied"] = [_number(network) for network in DENIED]
        told["offline"] = means.network == "off" and means.kind != "bwrap"
        return words if means.bare else _program(told, words)

    def _limits(self, seconds: float) -> dict[str, int]:
        """The memory that a process can write to: address space alone is reserved in plenty by Node, Go and Java."""
        processor = int(seconds * (os.cpu_count() or 1)) + 10
        mb = 1024 * 1024
        size, file = self.settings.memory_mb * mb, self.settings.file_mb * mb
        return {"DATA": size, "FSIZE": file, "CPU": processor, "CORE": 0}

    def _environment(self, means: Means, place: Place) -> dict[str, str]:
        rust = Path.home() / ".rustup"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(place.home),
            "TMPDIR": "/tmp" if means.kind == "bwrap" else str(place.tmp),  # noqa: S108 - its own, in there
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "CI": "true",
            **({"RUSTUP_HOME": str(rust)} if rust.is_dir() else {}),
            **{name: os.environ[name] for name in self.settings.env if name in os.environ},
        }


async def weakness() -> str:
    """What people should know about how commands are run here; empty when that is as it should be."""
    try:
        means = await sandbox().means()
    except Refused as error:
        return f"No command can be run: {error}."
    return "" if means.kind == "bwrap" and means.network != "open" else means.sentence


@lru_cache(maxsize=8)
def _shared(settings: SandboxSettings) -> Sandbox:
    return Sandbox(settings)


def sandbox() -> Sandbox:
    """The one that the environment describes. Raises ``Refused`` when it describes none."""
    return _shared(sandbox_settings())


def _bubble(place: Place, settings: SandboxSettings, means: Means) -> list[str]:
    words = ["bwrap", "--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--hostname", "sandbox"]
    words += ["--unshare-net"] if means.network == "off" else []
    words += ["--uid", NOBODY, "--gid", NOBODY] if os.geteuid() == 0 else []
    words += ["--proc", "/proc", "--dev", "/dev", "--bind", str(place.tmp), "/tmp"]  # noqa: S108 - its own, in there
    words += ["--bind", str(place.tmp), "/var/tmp"]  # noqa: S108 - its own, in there
    for path in readable(settings.readable):
        link = Path(path)
        words += ["--symlink", str(link.readlink()), path] if _is_of_usr(link) else ["--ro-bind", path, path]
    for path in SECRETS:
        words += [] if not Path(path).exists() else ["--tmpfs", path] if Path(path).is_dir() else _hidden(path)
    words += ["--tmpfs", str(place.store.parent)]
    for writable in place.writable:
        words += ["--bind", str(writable), str(writable)]
    if (face := trusted_for(place.store)) is not None:
        words += ["--symlink", str(place.store), str(face)]
    words += ["--remount-ro", str(place.store.parent), "--remount-ro", "/"]
    return [*words, "--chdir", str(place.root), "--"]


def _program(told: dict[str, object], command: Sequence[str]) -> list[str]:
    folder = str(Path(jail.__file__).parent)
    return [sys.executable, "-I", "-S", "-c", JAIL, folder, marshal.dumps(told).hex(), *command]


def _number(network: str) -> tuple[int, int, int]:
    found = ipaddress.ip_network(network)
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    return int(family), int(found.network_address), found.prefixlen


def _is_of_usr(path: Path) -> bool:
    """``/bin`` and its like, where they are links into ``/usr``."""
    return len(path.parts) == 2 and path.is_symlink()


def _hidden(path: str) -> list[str]:
    return ["--ro-bind", "/dev/null", path]


def _bounded(processes: int) -> list[str]:
    """In there, where only the command's own processes count. The option is -u in bash and -p in dash."""
    bound = f'ulimit -u {processes} 2>/dev/null || ulimit -p {processes} 2>/dev/null; exec "$@"'
    return ["/bin/sh", "-c", bound, "sh"]


def _beside_others(processes: int) -> dict[str, int]:
    """The kernel counts all that the user runs: at most what there is now, and so many more."""
    try:
        there = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    except (OSError, ValueError, IndexError):
        return {}
    return {"NPROC": there + processes}


async def _find_means(sandbox: Sandbox) -> Means:
    """The first that carries out a command."""
    settings = sandbox.settings
    kinds: list[Kind] = ["bwrap", "landlock", "off"] if settings.kind == "auto" else [settings.kind]
    nets: list[Network] = ["guarded", "open"] if settings.network == "guarded" else [settings.network]
    said = ""
    with tempfile.TemporaryDirectory(prefix="amelia-probe-") as folder:
        inner = Path(folder) / "home"
        inner.mkdir()
        place = Place(root=inner, store=inner, home=inner)
        ways = [Means(kind=kind, network=net) for kind in kinds for net in nets]
        ways += [Means(kind="off", network="open", bare=True)] if "off" in kinds and "open" in nets else []
        for means in ways if sys.platform == "linux" else ways[-1:]:
            if means.kind == "bwrap" and shutil.which("bwrap") is None:
                said = said or "bwrap is not installed"
                continue
            grouped = msgspec.structs.replace(means, grouped=True)
            for tried in (means,) if means.bare else (grouped, means):
                try:
                    ended = await sandbox.attempt(tried, "test -w .", place, PROBE_SECONDS)
                except OSError as error:
                    said = said or str(error)
                    continue
                if ended.code == 0:
                    return tried
                said = said or ended.last_line
    raise Refused(
        f"AMELIA_SANDBOX={settings.kind} with AMELIA_SANDBOX_NETWORK={settings.network} does not work here ({said}); "
        "install bubblewrap, or set AMELIA_SANDBOX=auto"
    )
