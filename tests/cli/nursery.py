"""Runs the command in processes that are forked where all it may need is loaded: an interpreter that imports LangGraph
and the kits of services takes a second to start, and few tests are about that.

A program of its own, without threads. For each order it forks a keeper; that one forks the command, says its id, waits
for it, and says how it ended.
"""

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import IO, Any, NoReturn

LOADED = (
    *("amelia_cli.start", "amelia_cli.local", "amelia_replay.reading", "aiosqlite", "langgraph.checkpoint.sqlite.aio"),
    *("amelia.orchestrator.graph", "amelia.orchestrator.announcing", "amelia.orchestrator.steps.again"),
    *("amelia.drivers.bedrock", "amelia.drivers.anthropic"),
)
MOST = 65_536


def main(number: int) -> None:
    """``number`` is the descriptor of a socket. An order is a line of JSON with four descriptors: the command's three,
    and where to say what became of it."""
    gc.disable()
    for name in LOADED:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    orders = socket.socket(fileno=number)
    while True:
        said, files, _, _ = socket.recv_fds(orders, MOST, 4)
        if not said:
            return
        while not said.endswith(b"\n"):
            said += orders.recv(MOST)
        if not os.fork():
            orders.close()
            keep(json.loads(said), files)
        for file in files:
            os.close(file)


def keep(order: dict[str, Any], files: Sequence[int]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *own, told = files
    child = os.fork()
    if not child:
        os.close(told)
        become(order, own)
    for file in own:
        os.close(file)
    os.write(told, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(order: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """The command, as its own interpreter would run it, to the end of that interpreter."""
    from amelia_cli.main import main as amelia

    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    gc.enable()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.stdin, sys.stdout, sys.stderr = _opened(0, "r"), _opened(1, "w"), _opened(2, "w", "backslashreplace")
    sys.argv = ["amelia", *order["arguments"]]
    sys.exit(amelia())


def _opened(file: int, mode: str, errors: str = "strict") -> IO[str]:
    lines = file == 2 or os.isatty(file)
    return os.fdopen(file, mode, 1 if lines else -1, encoding="utf-8", errors=errors, closefd=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
