"""The laptop's own PostgreSQL: real servers, started and killed."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from amelia.adapters.local import postgres, unprivileged
from amelia.adapters.local.state import StateDirectory
from amelia.errors import Refused, Unavailable

from .conftest import Start

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root may become somebody else, others may not")


async def query(address: str, sql: str) -> object:
    connection = await asyncpg.connect(address)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_data_survives_a_stop_a_kill_and_a_foreign_lock(state: StateDirectory, start: Start) -> None:
    port = state.port("postgres")
    address = postgres.url(state, port)
    server = start(state, postgres.program(state, port))
    asyncio.run(postgres.create_database(address, 30))
    asyncio.run(query(address, "create table kept as select 42 as answer"))
    server.send_signal(signal.SIGINT)
    assert server.wait() == 0

    server = start(state, postgres.program(state, port))
    asyncio.run(postgres.wait_until_ready(address, 30))
    server.kill()
    server.wait()
    lock = state.postgres / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    start(state, postgres.program(state, port))
    asyncio.run(postgres.wait_until_ready(address, 30))
    assert asyncio.run(query(address, "select answer from kept")) == 42


def test_a_database_that_is_not_there_is_not_waited_for(state: StateDirectory, start: Start) -> None:
    port = state.port("postgres")
    start(state, postgres.program(state, port))
    asyncio.run(postgres.wait_until_ready(postgres.url(state, port, "postgres"), 30))
    with pytest.raises(Refused, match=r'database "elsewhere" does not exist.*AMELIA_DATABASE_URL'):
        asyncio.run(postgres.wait_until_ready(postgres.url(state, port, "elsewhere"), 100))
    wrong = postgres.url(state, port, "postgres").replace("://amelia:", "://amelia:not")
    with pytest.raises(Refused, match="password authentication failed"):
        asyncio.run(postgres.wait_until_ready(wrong, 100))


def test_it_asks_for_the_password_and_listens_on_loopback(state: StateDirectory, start: Start) -> None:
    port = state.port("postgres")
    address = postgres.url(state, port)
    start(state, postgres.program(state, port))
    asyncio.run(postgres.create_database(address, 30))

    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(query(address.replace(state.secret("postgres-password"), "guess"), "select 1"))
    assert asyncio.run(query(address, "show listen_addresses")) == "127.0.0.1"
    assert asyncio.run(query(address, "show fsync")) == "on"


@as_root
@pytest.mark.parametrize("identity", [unprivileged.NAMESPACE, unprivileged.SETUID])
def test_root_runs_it_both_ways(state: StateDirectory, start: Start, identity: str) -> None:
    port = state.port("postgres")
    try:
        server = start(state, postgres.program(state, port, identity))
    except Unavailable as error:
        pytest.skip(f"not on this machine: {error}")
    asyncio.run(postgres.create_database(postgres.url(state, port), 30))

    other = ({unprivileged.NAMESPACE, unprivileged.SETUID} - {identity}).pop()
    server.send_signal(signal.SIGINT)
    server.wait()
    start(state, postgres.program(state, port, other))
    asyncio.run(postgres.wait_until_ready(postgres.url(state, port), 30))


SCRIPT = """
import asyncio, signal, subprocess, sys
from pathlib import Path
from amelia.adapters.local import postgres
from amelia.adapters.local.state import StateDirectory
from amelia.adapters.local.supervise import write_config

state = StateDirectory.open(Path(sys.argv[1]))
port = state.port("postgres")
program = postgres.program(state, port)
listing = write_config(state, [program]).parent / "programs.json"
server = subprocess.Popen([sys.executable, "-m", "amelia.adapters.local.child", str(listing), "postgres"])
try:
    asyncio.run(postgres.create_database(postgres.url(state, port), 30))
finally:
    server.send_signal(signal.SIGINT)
    server.wait()
"""


@pytest.fixture
def common_place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="amelia-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@as_root
def test_an_ordinary_user_runs_it_too(common_place: Path) -> None:
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    environ = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    python = next((p for p in interpreters() if usable(become, p, environ)), None)
    if python is None:
        pytest.skip("nobody but root may use this interpreter")

    done = subprocess.run(
        [*become, python, "-c", SCRIPT, str(common_place / "state")],
        env=environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (common_place / "state" / "postgres").stat().st_uid == 65534


def interpreters() -> list[str]:
    return [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]


def usable(become: list[str], python: str, environ: dict[str, str]) -> bool:
    try:
        again = "import amelia, msgspec, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
        done = subprocess.run([*become, python, "-c", again], env=environ, cwd="/", capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
