"""What a command of an agent can do, by every means of confinement that this machine has."""

import asyncio
import contextlib
import os
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from amelia.errors import Refused
from amelia.workspace.sandbox import DENIED, Sandbox, sandbox
from amelia.workspace.sandbox_groups import sweep
from amelia.workspace.sandbox_settings import Kind, SandboxSettings, sandbox_settings
from amelia.workspace.sandbox_view import Place
from amelia.workspace.spawn import Exit, spawn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the means of confinement are Linux's")


class Cell:
    def __init__(self, sandbox: Sandbox, place: Place, outside: Path) -> None:
        self.sandbox = sandbox
        self.place = place
        self.outside = outside

    async def run(self, command: str, seconds: float = 30) -> Exit:
        return await self.sandbox.run(command, self.place, seconds)

    async def says(self, command: str) -> str:
        return (await self.run(command)).output.decode().strip()


def place_in(folder: Path) -> Place:
    place = Place(root=folder / "w" / "tree", store=folder / "w" / "repository.git", home=folder / "w" / "home")
    for path in place.writable:
        path.mkdir(parents=True)
    return place


async def cell_of(settings: SandboxSettings, folder: Path) -> Cell:
    made = Sandbox(settings)
    try:
        await made.means()
    except Refused as error:
        pytest.skip(str(error))
    (folder / "secret").write_text("hunter2\n")
    return Cell(made, place_in(folder), folder)


@pytest.fixture(params=["bwrap", "landlock"])
async def cell(request: pytest.FixtureRequest, tmp_path: Path) -> Cell:
    return await cell_of(SandboxSettings(kind=request.param), tmp_path)


@pytest.fixture(params=["bwrap", "landlock", "off"])
async def any_cell(request: pytest.FixtureRequest, tmp_path: Path) -> Cell:
    return await cell_of(SandboxSettings(kind=request.param), tmp_path)


def alive(words: str) -> bool:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and words in (entry / "cmdline").read_text().replace("\0", " "):
                return True
    return False


async def test_the_worktree_and_its_home_can_be_written(any_cell: Cell) -> None:
    said = await any_cell.says("echo a > a && echo b > $HOME/b && echo c > $TMPDIR/c && cat a $HOME/b $TMPDIR/c")
    assert said.split() == ["a", "b", "c"]
    assert (any_cell.place.root / "a").read_text() == "a\n"
    assert await any_cell.says("cat $TMPDIR/c") == "c", "what is temporary lasts from one command to the next"


async def test_nothing_else_can_be_written(cell: Cell) -> None:
    before = sorted(cell.outside.rglob("*"))
    folders = map(Path, ("/etc", "/usr/local/bin", "/root", "/var/lib"))
    for path in (cell.outside, cell.outside / "w", *folders, Path.home()):
        ended = await cell.run(f"echo x > {path}/planted-by-a-test")
        assert ended.code != 0 or path.is_relative_to("/tmp"), f"{path} is written"
        assert not (path / "planted-by-a-test").exists()
    after = [path for path in sorted(cell.outside.rglob("*")) if not path.is_relative_to(cell.place.tmp)]
    assert after == [path for path in before if not path.is_relative_to(cell.place.tmp)]


async def test_nothing_of_ours_can_be_read(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("state") / "token"
    other.write_text("hunter2")
    for path in (cell.outside / "secret", other, "/etc/shadow", Path.home() / ".aws" / "credentials"):
        ended = await cell.run(f"cat {path}")
        assert ended.code != 0
        assert b"hunter2" not in ended.output


async def test_our_environment_and_that_of_our_processes_stay_ours(
    any_cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert "hunter2" not in await any_cell.says("env; cat /proc/self/environ | tr '\\0' '\\n'")
    if any_cell.sandbox.settings.kind != "off":
        read = f"cat /proc/{os.getpid()}/environ /proc/$PPID/environ; for p in /proc/[0-9]*; do cat $p/environ; done"
        assert "PYTEST" not in await any_cell.says(read)


async def test_a_variable_that_is_let_through_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_MIRROR", "https://mirror.invalid")
    settings = sandbox_settings({"AMELIA_SANDBOX": "off", "AMELIA_SANDBOX_ENV": "A_MIRROR, NOT_SET"})
    cell = await cell_of(settings, tmp_path)
    assert await cell.says("echo $A_MIRROR$NOT_SET") == "https://mirror.invalid"


async def test_a_path_that_is_named_can_be_read(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tools = tmp_path_factory.mktemp("tools")
    (tools / "version").write_text("7")
    for kind in ("bwrap", "landlock"):
        made = Sandbox(sandbox_settings({"AMELIA_SANDBOX": kind, "AMELIA_SANDBOX_READABLE": str(tools)}))
        with contextlib.suppress(Refused):
            ended = await made.run(f"cat {tools}/version; echo 8 > {tools}/version", place_in(tmp_path / kind), 30)
            assert ended.output.startswith(b"7")
    assert (tools / "version").read_text() == "7"


async def test_metadata_addresses_cannot_be_reached(any_cell: Cell) -> None:
    for address in ("169.254.169.254/80", "169.254.170.2/80", "fd00:ec2::254/80", "::ffff:169.254.169.254/80"):
        said = await any_cell.says(f"bash -c 'echo > /dev/tcp/{address}' 2>&1")
        assert "Permission denied" in said, address


@contextlib.contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_other_addresses_can_be_reached(any_cell: Cell) -> None:
    with listening() as port:
        assert (await any_cell.run(f"bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'")).code == 0
    assert b"refused" in (await any_cell.run("bash -c 'echo > /dev/tcp/127.0.0.1/1'")).output


@pytest.mark.parametrize("kind", ["bwrap", "landlock", "off"])
async def test_without_a_network_nothing_is_reached(kind: Kind, tmp_path: Path) -> None:
    cell = await cell_of(SandboxSettings(kind=kind, network="off"), tmp_path)
    with listening() as port:
        assert (await cell.run(f"bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'")).code != 0


def test_every_address_that_is_denied_is_one_of_a_cloud_or_of_the_link() -> None:
    assert "169.254.0.0/16" in DENIED
    assert not any(network.startswith(("10.", "127.", "192.168.", "0.")) for network in DENIED)


async def test_what_leaves_its_session_ends_with_the_command(any_cell: Cell) -> None:
    nap = f"300.{uuid.uuid4().int % 10**9}"
    ended = await any_cell.run(f"setsid sleep {nap} & sleep {nap} & echo said")
    assert ended.output == b"said\n"
    for _ in range(500):
        if not alive(nap):
            break
        await asyncio.sleep(0.01)
    assert not alive(nap)


async def test_a_command_that_takes_too_long_ends_with_all_it_started(any_cell: Cell) -> None:
    nap = f"300.{uuid.uuid4().int % 10**9}"
    ended = await any_cell.run(f"sleep {nap} & echo begun; wait", 2)
    assert ended.timed_out
    assert ended.output == b"begun\n"
    for _ in range(500):
        if not alive(nap):
            break
        await asyncio.sleep(0.01)
    assert not alive(nap)


async def test_a_command_ends_as_it_would_alone(any_cell: Cell) -> None:
    assert (await any_cell.run("exit 3")).code == 3
    assert (await any_cell.run("sh -c 'kill -9 $$'")).code == 137
    assert (await any_cell.run("cat")).code == 0, "there is no input"
    assert (await any_cell.run("yes | head -1")).output == b"y\n", "a broken pipe ends who writes into it"


async def test_memory_files_and_processes_are_bounded(any_cell: Cell, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(any_cell.sandbox.settings, memory_mb=64, file_mb=1, processes=40)
    small = Cell(Sandbox(settings), any_cell.place, tmp_path)
    assert (await small.run("head -c 200000000 /dev/zero | tail -c 150000000 | wc -c")).output.strip() != b"150000000"
    await small.run("head -c 3000000 /dev/zero > big")
    assert (small.place.root / "big").stat().st_size <= 1024 * 1024
    if (await small.sandbox.means()).grouped or os.geteuid() != 0:
        there = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
        many = f"i=0; while [ $i -lt {there + 140} ]; do sleep 2 & i=$((i+1)); done; echo all"
        ended = await small.run(many)
        assert b"all" not in ended.output or b"ork" in ended.output


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
async def test_a_command_has_no_capability_and_gains_none(cell: Cell) -> None:
    status = dict(line.split(":", 1) for line in (await cell.says("cat /proc/self/status")).splitlines())
    assert int(status["CapEff"], 16) == 0
    assert int(status["NoNewPrivs"]) == 1


async def test_the_group_of_a_program_that_was_killed_goes_away(tmp_path: Path) -> None:
    cell = await cell_of(SandboxSettings(kind="off"), tmp_path)
    if not (await cell.sandbox.means()).grouped:
        pytest.skip("control groups cannot be made here")
    code = (
        "import os, signal; from amelia.workspace.sandbox_groups import group\n"
        "with group(64, 10) as made: print(*made, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = await spawn([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=60)
    left = [Path(folder) for folder in killed.output.decode().split()]
    assert left
    assert all(folder.is_dir() for folder in left)
    sweep()
    assert not any(folder.exists() for folder in left)


async def test_a_link_that_a_command_leaves_behind_opens_nothing(cell: Cell) -> None:
    await cell.run(f"rm -rf $HOME/x; ln -s / $HOME/x; ln -s {cell.outside} out; ln -s / $TMPDIR/up")
    assert (await cell.run("cat out/secret || cat $HOME/x/etc/shadow || cat $TMPDIR/up/etc/shadow")).code != 0
    top = cell.outside.parts[2] if cell.outside.is_relative_to("/tmp") else "none"
    await cell.run(f"mv /tmp/{top} /tmp/moved && ln -s /etc /tmp/{top}")
    assert (await cell.run("echo still > here && cat here")).output == b"still\n"


async def test_what_the_settings_demand_and_this_machine_has_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match=r"AMELIA_SANDBOX=bwrap .* does not work here .*bwrap is not installed"):
        await Sandbox(SandboxSettings(kind="bwrap")).means()


async def test_what_is_found_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "amelia.workspace.sandbox")
    made = Sandbox(SandboxSettings(kind="off"))
    first, second = await asyncio.gather(made.means(), made.means())
    assert first == second
    assert [record.getMessage()[:30] for record in caplog.records] == ["Commands run WITHOUT a sandbox"]
    assert sandbox() is sandbox()


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("AMELIA_SANDBOX", "docker", "give auto, bwrap, landlock or off"),
        ("AMELIA_SANDBOX_NETWORK", "some", "give guarded, open or off"),
        ("AMELIA_SANDBOX_MEMORY_MB", "much", "give a whole number"),
        ("AMELIA_SANDBOX_PROCESSES", "0", "give a number above 0"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_by_its_name(name: str, value: str, way_out: str) -> None:
    with pytest.raises(Refused, match=rf"{name}='{value}' .*{way_out}"):
        sandbox_settings({name: value})


def test_the_defaults_confine() -> None:
    assert sandbox_settings({}) == SandboxSettings()
    assert sandbox_settings({}).network == "guarded"
