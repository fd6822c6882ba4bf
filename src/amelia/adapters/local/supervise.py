"""The supervisor of a fleet: supervisord, told what to run by a file we write.

``python -m amelia.adapters.local.supervise CONFIG LOCK_FD [--die-with-parent]`` is how it is started.
"""

import fcntl
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from amelia.adapters.local.child import STAGES, Program, die_with_parent, environment
from amelia.adapters.local.state import StateDirectory, write_private

_FATAL_AFTER = 1000
"""Restarts in a row before supervisord gives a program up; it waits a second longer before each."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One program as the supervisor sees it. ``state`` is its word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED …"""

    name: str
    state: str
    pid: int
    uptime_seconds: int
    started_at: int
    address: str = ""


def write_config(state: StateDirectory, programs: Sequence[Program], inherited: Mapping[str, str] = os.environ) -> Path:
    """``programs.json`` for ``child`` and ``supervisor.conf`` beside it; nothing starts by itself. ``inherited`` is the
    environment that whoever starts them has."""
    listing = state.run / "programs.json"
    kept = {program.name: _without_inherited(program, inherited) for program in programs}
    write_private(listing, msgspec.json.encode(kept).decode())
    path = state.run / "supervisor.conf"
    stages = (_stage(place, stage, programs) for place, stage in enumerate(STAGES))
    sections = [_daemon(state), *stages, *(_program(state, listing, program) for program in programs)]
    write_private(path, "\n".join(sections))
    return path


def _without_inherited(program: Program, inherited: Mapping[str, str]) -> Program:
    """What the program gets from the supervisor anyway, who gets it from us, is not written down: it may be secret."""
    given = environment(replace(program, environ={}), dict(inherited))
    return replace(program, environ={k: v for k, v in program.environ.items() if given.get(k) != v})


def _daemon(state: StateDirectory) -> str:
    socket = state.socket_file()
    lines = [
        "[unix_http_server]",
        f"file={_quoted(socket)}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={_quoted(state.logs / 'supervisor.log')}",
        "logfile_maxbytes=1MB",
        "logfile_backups=1",
        f"pidfile={_quoted(state.run / 'supervisor.pid')}",
        f"childlogdir={_quoted(state.logs)}",
        f"directory={_quoted(state.root)}",
        "minfds=200",
        "minprocs=20",
    ]
    if os.geteuid() == 0:
        lines.append("user=root")
    return "\n".join(lines) + "\n"


def _stage(place: int, stage: str, programs: Sequence[Program]) -> str:
    names = ",".join(program.name for program in programs if program.stage == stage)
    return f"[group:{stage}]\nprograms={names}\npriority={place + 1}\n" if names else ""


def _program(state: StateDirectory, listing: Path, program: Program) -> str:
    command = " ".join(
        _word(part) for part in (sys.executable, "-m", "amelia.adapters.local.child", listing, program.name)
    )
    return "\n".join(
        [
            f"[program:{program.name}]",
            f"command={command}",
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            f"startretries={_FATAL_AFTER}",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            f"stopasgroup={str(program.stop_group).lower()}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_quoted(_quoted(state.logs / f'{program.name}.log'))}",
            "stdout_logfile_maxbytes=5MB",
            "stdout_logfile_backups=2",
            "",
        ]
    )


def _quoted(value: object) -> str:
    """Supervisord expands every value, and the names of log files twice."""
    return str(value).replace("%", "%%")


def _word(value: object) -> str:
    text = _quoted(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


class Supervisor:
    """Speaks to a running supervisord over its socket; every call raises ``OSError`` when there is none."""

    def __init__(self, socket: Path) -> None:
        self._url = f"unix://{socket}"

    def parts(self) -> list[Part]:
        return [
            Part(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                uptime_seconds=max(0, info["now"] - info["start"]) if info["pid"] else 0,
                started_at=info["start"],
            )
            for info in self._call("getAllProcessInfo")
        ]

    def start(self, program: Program) -> None:
        self._call("startProcess", f"{program.stage}:{program.name}", False)

    def shutdown(self) -> None:
        self._call("shutdown")

    def pid(self) -> int:
        return int(self._call("getPID"))

    def _call(self, method: str, *arguments: object) -> Any:
        from xmlrpc.client import Error, ServerProxy

        from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

        transport = SupervisorTransport(None, None, serverurl=self._url)
        try:
            return getattr(ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(*arguments)
        except (Error, HTTPException) as error:
            raise OSError(f"the supervisor did not answer {method}: {error}") from error
        finally:
            transport.close()


def main(argv: list[str] = sys.argv) -> None:
    """Keeps the lock open for as long as it lives."""
    if "--die-with-parent" in argv[3:]:
        die_with_parent(signal.SIGTERM, os.getppid())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1024), hard))
    _out_of_reach(int(argv[2]))
    _wake_on_signals()
    from supervisor.supervisord import main as supervisord  # type: ignore[import-untyped]

    supervisord(["-n", "-c", argv[1]])


def _out_of_reach(descriptor: int) -> int:
    """Moved above those that supervisord closes, and not inherited."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 512)
    os.close(descriptor)
    return moved


def _wake_on_signals() -> None:
    """Supervisord looks for signals, also those of children that ended, when its poll returns; and Python's goes on for
    its whole second after a signal. Here a signal ends it."""
    from supervisor import poller  # type: ignore[import-untyped]

    read, write = map(_out_of_reach, os.pipe())
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    class Woken(poller.PollPoller):  # type: ignore[misc]
        def _poll_fds(self, timeout: float) -> list[tuple[int, int]]:
            self._poller.register(read, select.POLLIN)
            found = super()._poll_fds(timeout)
            if any(descriptor == read for descriptor, _ in found):
                os.read(read, 4096)
            return [(descriptor, events) for descriptor, events in found if descriptor != read]

    poller.Poller = Woken


if __name__ == "__main__":
    main()
