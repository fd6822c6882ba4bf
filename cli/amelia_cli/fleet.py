"""``amelia up``, ``down`` and ``status``: the fleet of this machine."""

import os
import shlex
import signal
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from amelia.client.discover import state_directory
from amelia.errors import Malformed, Refused, Unavailable

from .options import output as output_option
from .printing import cells, document, duration
from .signals import like_ctrl_c

if TYPE_CHECKING:
    from amelia.adapters.local.fleet import Fleet
    from amelia.adapters.local.state import StateDirectory

_state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the fleet keeps its data.  [default: $AMELIA_STATE_DIR, else ~/.local/state/amelia]",
)


@click.command()
@_state_dir
@click.option("--port", type=click.IntRange(1, 65535), help="Of the api.  [default: $AMELIA_API_PORT, else 8420]")
@click.option("--detach", is_flag=True, help="Return when it is ready, and leave it running.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Play the models from a conversation file instead of calling them; may be repeated.",
)
@output_option
def up(state_dir: Path | None, port: int | None, detach: bool, replay: tuple[Path, ...], output: str) -> None:
    """Start the fleet on this machine: database, AWS emulator, AgentCore stand-in, api, dispatcher and router.

    Everything listens on loopback. Data stays in the state directory. Without --detach it runs until Ctrl-C.
    Models come from ANTHROPIC_API_KEY, OPENAI_API_KEY or AWS credentials in the environment, or from --replay.
    AMELIA_DATABASE_URL, AMELIA_AWS_ENDPOINT_URL and AMELIA_AGENTCORE_ENDPOINT_URL name what runs already.
    """
    _require_local()
    from amelia.adapters.local import fleet
    from amelia.adapters.local.layout import Options

    _check(replay)
    state = _open(state_dir)
    options = Options(state_dir=state.root, port=port or _default_port(), replay=replay)
    try:
        with like_ctrl_c():
            running = fleet.up(state, options, _say_to(output), attached=not detach)
    except Unavailable as error:
        for note in getattr(error, "__notes__", []):
            click.echo(note, err=True)
        raise
    _announce(running, state, detach, output)
    if not detach:
        _attend(running)


@click.command()
@_state_dir
@output_option
def down(state_dir: Path | None, output: str) -> None:
    """Stop the fleet and wait until all of it is gone. Its data stays in the state directory."""
    _require_local()
    from amelia.adapters.local import fleet

    root = (state_dir or state_directory()).expanduser()
    pid = fleet.down(_open(root)) if root.is_dir() else 0
    if output == "json":
        document({"stopped": bool(pid), "pid": pid})
    else:
        click.echo(f"stopped the fleet (pid {pid})" if pid else f"no fleet runs in {root}")


@click.command()
@_state_dir
@output_option
def status(state_dir: Path | None, output: str) -> None:
    """Say what of the fleet runs, since when and where. Exits 7 when it does not run."""
    _require_local()
    from amelia.adapters.local import fleet

    root = (state_dir or state_directory()).expanduser()
    if not root.is_dir():
        raise Unavailable(f"no fleet runs in {root}; start one with amelia up")
    state = _open(root)
    parts = fleet.parts(state)
    url = fleet.last_url(state)
    ready = fleet.is_ready(url) and all(part.state == "RUNNING" for part in parts)
    if output == "json":
        document({"url": url, "ready": ready, "state_dir": str(state.root), "parts": parts})
        return
    rows = [
        [part.name, part.state.lower(), str(part.pid or "-"), duration(part.uptime_seconds), part.address or "-"]
        for part in parts
    ]
    for line in cells(["part", "state", "pid", "up", "address"], rows):
        click.echo(line)
    click.echo(f"\n{url}  {'ready' if ready else 'not ready'}  {state.root}")


def _check(conversations: Sequence[Path]) -> None:
    """Before anything is started: a replay server with a mistake in its file would be, again and again."""
    if conversations:
        from amelia_replay.reading import read

        try:
            for file in conversations:
                read(file)
        except Malformed as error:
            raise Refused(str(error)) from error


def _open(root: Path | None) -> "StateDirectory":
    from amelia.adapters.local.state import StateDirectory

    return StateDirectory.open(root or state_directory())


def _default_port() -> int:
    from amelia.settings import load

    return load(os.environ).api_port


def _require_local() -> None:
    missing = [name for name in ("supervisor", "psutil", "asyncpg") if find_spec(name) is None]
    if missing:
        raise Refused(f"a fleet needs {', '.join(missing)}, which this install lacks; pip install 'amelia[local]'")


def _say_to(output: str) -> Callable[[str], None]:
    return lambda line: click.echo(f"  {line}", err=output == "json")


def _announce(running: "Fleet", state: "StateDirectory", detach: bool, output: str) -> None:
    if output == "json":
        document({"url": running.url, "pid": running.pid, "state_dir": str(state.root)})
        return
    for note in running.layout.notes:
        click.echo(f"  {note}")
    where = "" if state.root == state_directory().absolute() else f" --state-dir {shlex.quote(str(state.root))}"
    end = f"stop it with amelia down{where}" if detach else "Ctrl-C stops it"
    click.echo(f"\nThe fleet is ready at {running.url}; {end}")


def _attend(running: "Fleet") -> None:
    """Until a signal asks to stop, or somebody's ``amelia down`` did."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    while not asked.wait(0.3) and running.runs():
        pass
    if asked.is_set():
        click.echo("\nstopping ...", err=True)
    running.stop()
