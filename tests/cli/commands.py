"""Commands in processes of their own."""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

SECONDS = 60
"""Longer than any command of these tests takes."""


class Ran:
    """What a command left: its exit code and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        assert "Traceback" not in err + out
        self.code, self.out, self.err = code, out, err


class Command:
    """One that has begun. Use as a context: it has ended then."""

    def __init__(self, told: int) -> None:
        self._told = os.fdopen(told, "r", closefd=True)
        self.pid = int(self._told.readline())

    def __enter__(self) -> "Command":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._told.closed:
            os.kill(self.pid, 9)
            self.ended()

    def ended(self) -> int:
        """Its exit code, negative for a signal, once it has one."""
        with self._told:
            assert select.select([self._told], [], [], SECONDS)[0], f"{self.pid} goes on"
            return int(self._told.readline())


class Commands:
    """Starts them in a nursery."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    def start(self, arguments: Sequence[str], stdin: int, stdout: int, stderr: int, **environ: str) -> Command:
        """In the current directory, with the current environment and what is added to it."""
        order = {"arguments": arguments, "cwd": str(Path.cwd()), "environ": {**os.environ, **environ}}
        reading, told = os.pipe()
        try:
            line = json.dumps(order).encode() + b"\n"
            sent = socket.send_fds(self._orders, [line], [stdin, stdout, stderr, told])
            self._orders.sendall(line[sent:])
        finally:
            os.close(told)
        return Command(reading)

    def run(self, *arguments: str) -> Ran:
        """Without a terminal."""
        with Path(os.devnull).open() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with self.start(arguments, given.fileno(), out.fileno(), err.fileno()) as command:
                code = command.ended()
            written = []
            for file in (out, err):
                file.seek(0)
                written.append(file.read().decode())
        return Ran(code, *written)

    def answer(self, arguments: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
        """On a terminal: types each answer once its question is there, one after the other."""
        ours, theirs = os.openpty()
        with self.start(arguments, theirs, theirs, theirs, TERM="xterm", COLUMNS="100") as command:
            os.close(theirs)
            seen, place, waiting = "", 0, list(answers)
            while True:
                try:
                    seen += os.read(ours, 4096).decode(errors="replace")
                except OSError:
                    break
                while waiting and waiting[0][0] in seen[place:]:
                    question, answer = waiting.pop(0)
                    place = seen.index(question, place) + len(question)
                    os.write(ours, answer.encode() + b"\n")
            code = command.ended()
        os.close(ours)
        assert not waiting, seen
        assert "Traceback" not in seen
        return code, seen


@contextmanager
def nursery() -> Iterator[Commands]:
    ours, theirs = socket.socketpair()
    program = [sys.executable, str(Path(__file__).with_name("nursery.py")), str(theirs.fileno())]
    with ours, subprocess.Popen(program, pass_fds=[theirs.fileno()], start_new_session=True):
        theirs.close()
        yield Commands(ours)
        ours.close()
