"""A fleet on this machine: started, looked at, stopped without leaving anything."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

import msgspec

from amelia.adapters.local import lock, strays
from amelia.adapters.local.bringup import STOP_SECONDS, Fleet, Say, is_ready, sweep
from amelia.adapters.local.child import Program
from amelia.adapters.local.layout import SILENT, Layout, Options, lay_out
from amelia.adapters.local.state import LOOPBACK, StateDirectory, is_free
from amelia.adapters.local.supervise import Part, Supervisor, write_config
from amelia.errors import AmeliaError, Conflict, Unavailable

__all__ = ["Fleet", "down", "is_ready", "last_url", "parts", "up"]


def up(
    state: StateDirectory,
    options: Options,
    say: Say,
    *,
    attached: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Fleet:
    """The fleet, ready. ``attached``: it ends with this process, however that ends.

    Raises ``Conflict`` when one runs already or the port is taken; ``Unavailable``, with everything stopped again, when
    a part does not come up; its note is the end of that part's log.
    """
    taken = lock.FleetLock.take(state)
    try:
        sweep(state, lock.last_holder(state).fleet_id)
        taken.write(lock.Holder(pid=os.getpid()))
        if not is_free(options.port):
            raise _port_taken(options.port)
        layout = lay_out(state, options, environ)
        return _start(state, layout, taken, say, attached)
    finally:
        taken.close()


def _start(state: StateDirectory, layout: Layout, taken: lock.FleetLock, say: Say, attached: bool) -> Fleet:
    config = write_config(state, layout.programs)
    fleet = Fleet(state, layout, _launch(state, config, taken.descriptor, attached))
    taken.write(lock.Holder(pid=fleet.pid, url=layout.url, fleet_id=layout.fleet_id))
    taken.close()
    try:
        fleet.bring_up(say)
        fleet.record()
    except BaseException:
        fleet.stop()
        raise
    return fleet


def _launch(state: StateDirectory, config: os.PathLike[str], lock_fd: int, attached: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "amelia.adapters.local.supervise", os.fspath(config), str(lock_fd)]
    state.socket_file().unlink(missing_ok=True)
    with (state.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own module
            command + (["--die-with-parent"] if attached else []),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock_fd],
            start_new_session=True,
        )


def down(state: StateDirectory) -> int:
    """Stops the fleet, whoever started it, and returns the pid it had; 0 when none ran.

    Raises ``Unavailable`` when something of it is still there afterwards.
    """
    holder = lock.last_holder(state)
    if not lock.is_held(state):
        sweep(state, holder.fleet_id)
        return 0
    if holder.pid:
        _signal(holder.pid, signal.SIGTERM)
    if not _released(state, STOP_SECONDS):
        _signal(holder.pid, signal.SIGKILL)
        if not _released(state, 5):
            raise Unavailable(f"the fleet (pid {holder.pid}) does not stop; end that process and repeat amelia down")
    sweep(state, holder.fleet_id)
    return holder.pid


def parts(state: StateDirectory) -> list[Part]:
    """What the running fleet consists of, the supervisor first.

    Raises ``Unavailable`` when none runs or it does not answer.
    """
    if not lock.is_held(state):
        raise Unavailable(f"no fleet runs in {state.root}; start one with amelia up")
    try:
        supervisor = Supervisor(state.socket_file())
        found, pid = supervisor.parts(), supervisor.pid()
    except OSError as error:
        raise Unavailable(f"the fleet in {state.root} is starting or stopping; ask again in a moment") from error
    listing = msgspec.json.decode((state.run / "programs.json").read_bytes(), type=dict[str, Program])
    addressed = [
        msgspec.structs.replace(part, address=_address(listing[part.name]), state=_state(state, part)) for part in found
    ]
    first = Part(name="supervisor", state="RUNNING", pid=pid, uptime_seconds=_uptime(pid), started_at=0)
    return [first, *sorted(addressed, key=lambda part: list(listing).index(part.name))]


def last_url(state: StateDirectory) -> str:
    """Of the fleet that runs, or ran last."""
    return lock.last_holder(state).url


def _port_taken(port: int) -> AmeliaError:
    who = strays.listener(port)
    return Conflict(f"port {port} is taken{' by ' + who if who else ''}; stop that, or take another with --port")


def _address(program: Program) -> str:
    return f"{LOOPBACK}:{program.port}" if program.port else ""


def _state(state: StateDirectory, part: Part) -> str:
    """A service that is not ready yet is still starting, for however long its process lives."""
    if part.state != "RUNNING" or part.name not in SILENT:
        return part.state
    try:
        ready = state.ready_file(part.name).read_text() == str(part.pid)
    except OSError:
        ready = False
    return "RUNNING" if ready else "STARTING"


def _uptime(pid: int) -> int:
    import psutil  # type: ignore[import-untyped]

    try:
        return int(time.time() - psutil.Process(pid).create_time())
    except psutil.Error:
        return 0


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _released(state: StateDirectory, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while lock.is_held(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
