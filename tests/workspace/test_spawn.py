"""Children that end with everything they started."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from amelia.workspace.spawn import spawn


def alive(pid: str) -> bool:
    stat = Path("/proc") / pid / "stat"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return stat.read_text().rsplit(")", 1)[-1].split()[0] not in "XZ"
    return False


@pytest.mark.parametrize("turns", [0, 2, 4, 6, 7, 8, 40])
async def test_a_start_that_is_cancelled_leaves_no_grandchild(tmp_path: Path, turns: int) -> None:
    pids = tmp_path / "pids"
    command = ["/bin/sh", "-c", f"sleep 300 & echo $! $$ > {pids}; wait"]
    running = asyncio.create_task(spawn(command, cwd=tmp_path, env=dict(os.environ), timeout=60))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    for _ in range(20):
        await asyncio.sleep(0.005)
    for pid in pids.read_text().split() if pids.exists() else ():
        assert not alive(pid)


async def test_what_is_given_as_input_arrives_whole(tmp_path: Path) -> None:
    ended = await spawn(["wc", "-c"], cwd=tmp_path, env=dict(os.environ), timeout=60, stdin=b"x" * 1_000_000)
    assert ended.output.strip() == b"1000000"


async def test_errors_are_kept_apart_unless_merged(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]
    apart = await spawn(command, cwd=tmp_path, env=dict(os.environ), timeout=60)
    assert (apart.code, apart.output, apart.errors, apart.last_line) == (3, b"out\n", b"err\n", "err")
    merged = await spawn(command, cwd=tmp_path, env=dict(os.environ), timeout=60, merge=True)
    assert (merged.output, merged.errors) == (b"out\nerr\n", b"")


TIED = """
import asyncio, os, pathlib, sys
from amelia.workspace.spawn import spawn
asyncio.run(spawn(sys.argv[1:], cwd=pathlib.Path.cwd(), env=dict(os.environ), timeout=300, tied=True))
"""


async def test_what_is_tied_ends_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = ["/bin/sh", "-c", f"sleep 300 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"]
    caller = await asyncio.create_subprocess_exec(sys.executable, "-c", TIED, *command, cwd=tmp_path)
    async with asyncio.timeout(30):
        while not pids.exists():
            await asyncio.sleep(0.01)
        caller.kill()
        await caller.wait()
        while any(alive(pid) for pid in pids.read_text().split()):
            await asyncio.sleep(0.01)


async def test_what_is_tied_ends_as_it_would_alone(tmp_path: Path) -> None:
    env = dict(os.environ)
    command = ["/bin/sh", "-c", "cat; echo err >&2; exit 3"]
    ended = await spawn(command, cwd=tmp_path, env=env, timeout=60, stdin=b"in", tied=True)
    assert (ended.code, ended.output, ended.errors) == (3, b"in", b"err\n")
    killed = await spawn(["/bin/sh", "-c", "kill -9 $$"], cwd=tmp_path, env=env, timeout=60, tied=True)
    assert killed.code == 137
    missing = await spawn(["/no/such"], cwd=tmp_path, env=env, timeout=60, tied=True)
    assert (missing.code, missing.last_line) == (127, "cannot start /no/such: No such file or directory")
    late = await spawn(["/bin/sh", "-c", "sleep 300"], cwd=tmp_path, env=env, timeout=0.3, tied=True)
    assert late.timed_out
    status = ["/bin/sh", "-c", "grep SigIgn /proc/self/status"]
    ignored = await spawn(status, cwd=tmp_path, env=env, timeout=60, tied=True)
    assert int(ignored.output.split()[1], 16) & (1 << signal.SIGPIPE - 1) == 0
