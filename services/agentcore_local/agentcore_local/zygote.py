"""A process that has imported the runtime's app and does nothing but fork.

    python -m agentcore_local.zygote APP CONTROL_FD LIFE_FD SERVER_PID SESSIONS_DIRECTORY

It stays single-threaded, as a fork copies one thread only. Each session is forked twice, so that it
becomes the server's child and outlives the zygote. When the server is gone, the zygote ends what is left.
"""

import gc
import importlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from agentcore_local.birth import Born, Broken, Order, Ready, Report, Stillborn
from agentcore_local.container import live
from agentcore_local.listening import listen
from agentcore_local.strays import end_strays

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 3_600


def load(app: str) -> Any:
    """The object that MODULE:ATTRIBUTE names."""
    module, _, attribute = app.partition(":")
    found: Any = importlib.import_module(module)
    for name in (attribute or "app").split("."):
        found = getattr(found, name)
    return found


class Zygote:
    def __init__(self, app: str, control: socket.socket, life: int, server: int, sessions: Path) -> None:
        self._app = app
        self._control = control
        self._life = life
        self._server = server
        self._sessions = sessions

    def run(self) -> int:
        """Imports the app, then forks on request until the server closes the connection."""
        began = time.monotonic()
        gc.disable()
        try:
            self._config = uvicorn.Config(
                load(self._app), log_level="warning", access_log=False, timeout_keep_alive=_KEEP_ALIVE_SECONDS
            )
            self._config.load()
        except BaseException:
            self._tell(Broken(reason=traceback.format_exc(limit=-8)))
            return 1
        gc.freeze()
        self._tell(Ready(seconds=time.monotonic() - began, threads=threading.active_count() - 1))
        try:
            for order in self._orders():
                self._tell(self._bear(order))
        except OSError:
            pass
        end_strays(self._sessions)
        return 0

    def _orders(self) -> Iterator[Order]:
        pending = b""
        while received := self._control.recv(65_536):
            *lines, pending = (pending + received).split(b"\n")
            yield from (msgspec.json.decode(line, type=Order) for line in lines)

    def _bear(self, order: Order) -> Report:
        try:
            with listen("127.0.0.1", 0, _BACKLOG) as listener:
                port: int = listener.getsockname()[1]
                return Born(id=order.id, pid=self._fork_twice(order, listener), port=port)
        except OSError as error:
            return Stillborn(id=order.id, reason=f"cannot start a process: {error}")

    def _fork_twice(self, order: Order, listener: socket.socket) -> int:
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            self._leave_a_child(order, listener, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            pid = answer.read()
        os.waitpid(between, 0)
        if not pid:
            raise OSError("the fork failed")
        return int(pid)

    def _leave_a_child(self, order: Order, listener: socket.socket, writer: int) -> None:
        """In the process between: the session is its child and loses it at once."""
        try:
            pid = os.fork()
            if pid:
                os.write(writer, str(pid).encode())
                os._exit(0)
            os.close(writer)
            os.setsid()
            self._control.close()
            live(order, self._config, listener, self._life, self._server)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(0)

    def _tell(self, report: Report) -> None:
        self._control.sendall(msgspec.json.encode(report) + b"\n")


def main() -> int:
    app, control, life, server, sessions = sys.argv[1:6]
    return Zygote(app, socket.socket(fileno=int(control)), int(life), int(server), Path(sessions)).run()


if __name__ == "__main__":
    sys.exit(main())
