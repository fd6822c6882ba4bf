"""One issue becomes a reviewed branch, through a whole fleet, by the commands a user would type.

``make demo``; ``KEEP=1 make demo`` leaves the fleet running. Exits 0 only when all of it happened: the sample's test
fails before and passes after, the plan was approved, the branch is there.
"""
# ruff: noqa: S603, S607

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples" / "rounding"
PLACE = ROOT / ".amelia" / "demo"
STATE, REPOSITORY, CHECKOUT = PLACE / "state", PLACE / "repository", PLACE / "checkout"
TESTS = ("-m", "unittest", "discover", "-s", "tests", "-t", ".")
AMELIA = (sys.executable, "-m", "amelia_cli.main")
PLAN_SECONDS = 120

_foreign = ("AMELIA_URL", "AMELIA_TOKEN", "AMELIA_PROFILE", "AMELIA_DRIVER", "VIRTUAL_ENV")
ENVIRON = {name: value for name, value in os.environ.items() if name not in _foreign} | {"AMELIA_STATE_DIR": str(STATE)}


def main() -> int:
    began = time.monotonic()
    keep = os.environ.get("KEEP", "") not in ("", "0")
    prepare()
    see_it_fail()
    try:
        start_fleet()
        work()
    except BaseException:
        stop_fleet()
        raise
    total = time.monotonic() - began
    if keep:
        say(f"The fleet stays at {address()}")
        print(f"  use it:  export AMELIA_STATE_DIR={STATE}\n  stop it: .venv/bin/amelia down --state-dir {STATE}")
    else:
        stop_fleet()
    say(f"Done in {total:.1f} s; the branch is in {REPOSITORY.relative_to(ROOT)}")
    return 0


def prepare() -> None:
    if STATE.exists():
        stop_fleet(quiet=True)
    shutil.rmtree(PLACE, ignore_errors=True)
    ours = shutil.ignore_patterns("conversation.yaml", "ISSUE.md", "__pycache__")
    shutil.copytree(SAMPLE, REPOSITORY, ignore=ours)
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("-c", "user.name=Sample", "-c", "user.email=sample@example.invalid", "commit", "--quiet", "-m", "invoices")


def see_it_fail() -> None:
    say(f"The sample: {SAMPLE.relative_to(ROOT)}, whose issue says")
    print(indented((SAMPLE / "ISSUE.md").read_text().strip()))
    say("Its tests, before")
    done = run_tests(REPOSITORY)
    print(indented(done.stderr.strip()))
    if done.returncode == 0:
        fail("the sample's tests pass already, so there is nothing to show")


def start_fleet() -> None:
    port = str(free_port())
    say(f"amelia up --detach --replay {SAMPLE.relative_to(ROOT)}/conversation.yaml")
    amelia("up", "--detach", "--port", port, "--replay", str(SAMPLE / "conversation.yaml"))


def stop_fleet(*, quiet: bool = False) -> None:
    if not quiet:
        say("amelia down")
    subprocess.run([*AMELIA, "down"], env=ENVIRON, check=False, capture_output=quiet)


def work() -> None:
    submitted = time.monotonic()
    start = [
        "start",
        str(SAMPLE / "ISSUE.md"),
        "--remote",
        "--repo",
        str(REPOSITORY),
        "--idempotency-key",
        f"{time.time_ns()}",
    ]
    say("amelia start ISSUE.md --remote --repo …")
    workflow = str(asked(*start, "--detach")["id"])
    with Watching(start, workflow) as watching:
        wait_for_plan(workflow)
        watching.pause()
        say(f"amelia workflows plan {workflow}")
        amelia("workflows", "plan", workflow)
        say(f"amelia workflows approve {workflow} --yes")
        amelia("workflows", "approve", workflow, "--yes")
        watching.to_the_end()
    ended = asked("workflows", "show", workflow)
    if ended["status"] != "completed":
        fail(f"the workflow is {ended['status']}: {ended['reason']}")
    judge(workflow, ended, time.monotonic() - submitted)


def judge(workflow: str, ended: dict[str, Any], seconds: float) -> None:
    say(f"amelia workflows diff {workflow}")
    amelia("workflows", "diff", workflow)
    git("worktree", "add", "--quiet", "--detach", str(CHECKOUT), ended["branch"])
    say(f"The same tests on {ended['branch']}")
    done = run_tests(CHECKOUT)
    print(indented(done.stderr.strip()))
    if done.returncode != 0:
        fail("the tests fail on the branch too")
    cost = ended["spent"]["cost_microdollars"] / 1_000_000
    say(f"completed: {ended['branch']} at {ended['commit'][:12]}, ${cost:.4f}, {seconds:.1f} s from submission")


class Watching:
    """What happens, while it does: on a terminal as the live view of ``amelia start``, else its events by line."""

    def __init__(self, start: Sequence[str], workflow: str) -> None:
        live = sys.stdout.isatty()
        self._pauses = live
        self._command = [*start, "--follow"] if live else ["workflows", "logs", workflow, "--follow"]
        self._viewer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Watching":
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def pause(self) -> None:
        """So that the plan is not printed into a live view; lines just stop while the workflow waits."""
        if self._pauses:
            self._end()
        else:
            time.sleep(0.5)

    def to_the_end(self) -> None:
        if self._viewer is None:
            self._begin()
        assert self._viewer is not None
        if self._viewer.wait() != 0:
            fail(f"amelia {' '.join(self._command)} exits with {self._viewer.returncode}")

    def _begin(self) -> None:
        sys.stdout.flush()
        self._viewer = subprocess.Popen([*AMELIA, *self._command], env=ENVIRON, stdin=subprocess.DEVNULL)

    def _end(self) -> None:
        if self._viewer and self._viewer.poll() is None:
            self._viewer.send_signal(signal.SIGINT)
            self._viewer.wait()
        self._viewer = None


def wait_for_plan(workflow: str) -> None:
    deadline = time.monotonic() + PLAN_SECONDS
    while time.monotonic() < deadline:
        seen = asked("workflows", "show", workflow)
        if seen["status"] == "blocked":
            return
        if seen["status"] in ("failed", "cancelled", "completed"):
            fail(f"the workflow is {seen['status']} before it has a plan: {seen['reason']}")
        time.sleep(0.3)
    fail(f"there is no plan after {PLAN_SECONDS} s; look into {STATE / 'logs'}")


def amelia(*arguments: str) -> None:
    sys.stdout.flush()
    done = subprocess.run([*AMELIA, *arguments], env=ENVIRON, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        fail(f"amelia {' '.join(arguments)} exits with {done.returncode}")


def asked(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [*AMELIA, *arguments, "--output", "json"],
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        fail(f"amelia {' '.join(arguments)} exits with {done.returncode}")
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(REPOSITORY), *arguments], check=True)


def run_tests(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-B", *TESTS], cwd=folder, capture_output=True, text=True, check=False)


def address() -> str:
    return str(json.loads((STATE / "fleet.json").read_text())["url"])


def free_port(wanted: int = 8420) -> int:
    with socket.socket() as probe, socket.socket() as other:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            other.bind(("127.0.0.1", 0))
            return int(other.getsockname()[1])
        return wanted


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    print(f"\n{bold}==> {text}{plain}", flush=True)


def fail(why: str) -> NoReturn:
    sys.stdout.flush()
    raise SystemExit(f"demo: {why}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
