"""Starts one program of the fleet: ``python -m amelia.adapters.local.child PROGRAMS.json NAME``.

It becomes that program by exec, after having asked the kernel to end it together with the supervisor, so that a
supervisor killed with -9 leaves nothing behind (Linux; elsewhere the next ``up`` or ``down`` clears up).
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from amelia.adapters.local import unprivileged

STAGES = ("store", "carriers", "services")


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """``unset`` are names, or prefixes ending in ``*``, that the program must not see of the supervisor's environment.

    Of the ``STAGES`` the last stops first, each as a whole. ``identity`` is how it runs: ``""`` as we are, else a way
    of ``unprivileged``. ``orphan_signal`` is what it gets when the supervisor is gone.
    """

    name: str
    stage: str
    argv: list[str]
    environ: dict[str, str] = {}
    unset: list[str] = []
    only: list[str] | None = None
    stop_signal: str = "TERM"
    orphan_signal: str = "KILL"
    stop_seconds: int = 10
    stop_group: bool = True
    port: int | None = None
    identity: str = ""
    data_directory: str = ""


def environment(program: Program, inherited: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in inherited.items() if program.only is None or k in program.only}
    for pattern in program.unset:
        prefix = pattern.removesuffix("*")
        kept = {k: v for k, v in kept.items() if not (k.startswith(prefix) if pattern.endswith("*") else k == pattern)}
    return kept | program.environ


def die_with_parent(number: int, parent: int) -> None:
    """The kernel sends ``number`` when ``parent`` is gone. Lost by a change of user: call it after that."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def run(program: Program, parent: int) -> None:
    environ = environment(program, dict(os.environ))
    if program.data_directory:
        from amelia.adapters.local.postgres import clear_stale

        clear_stale(Path(program.data_directory))
    if program.identity:
        unprivileged.become(program.identity)
    die_with_parent(signal.Signals[f"SIG{program.orphan_signal}"], parent)
    os.execve(program.argv[0], program.argv, environ)  # noqa: S606 - a program of our own making


def main(argv: list[str] = sys.argv) -> None:
    parent = os.getppid()
    programs = msgspec.json.decode(Path(argv[1]).read_bytes(), type=dict[str, Program])
    run(programs[argv[2]], parent)


if __name__ == "__main__":
    main()
