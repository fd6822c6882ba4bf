"""Runs a command that can do less than its parent, and ends everything it leaves behind.

A program of its own (see ``program``), without anything but the standard library. What it is told is JSON: ``limits``
(resource limits by name), ``groups`` (folders of control groups to join), ``read`` and ``write`` (paths below which
that is allowed, by Landlock; without ``read`` there is no such bound), ``drop`` (give up root's capabilities),
``denied`` (networks that cannot be connected to, in CIDR notation) and ``offline``. What the system cannot do is an
error, 125, and the command is not run.

Addresses are judged here, outside the command: the kernel stops it at ``connect`` and asks (seccomp's notifications).
An internet socket is then connected by us, to the address that was judged, so that it cannot be changed in between.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

UNUSABLE = 125
STARTER = "import sys; sys.path.append(sys.argv.pop(1)); import jail; sys.exit(jail.main(sys.argv))"
READ = 0b1101
WRITE = 0b111_1111_1111_0010
OF_A_FILE = 0b100_0000_0000_0111
"""Landlock's rights: execute, write, read, list, remove, make, refer, truncate; and those that fit what is a file."""
RIGHTS_SINCE = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
SCOPES_SINCE = 6
CALLS = {
    "x86_64": (0xC000003E, {"connect": 42, "socket": 41, "sendto": 44, "sendmsg": 46, "sendmmsg": 307, "option": 54}),
    "aarch64": (
        0xC00000B7,
        {"connect": 203, "socket": 198, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "option": 208},
    ),
}
IO_URING_SETUP, FAST_OPEN, TCP, TCP_FASTOPEN_CONNECT, FOREIGN = 425, 0x2000_0000, 6, 30, 0x4000_0000
ALLOW, ASK, FAIL = 0x7FFF_0000, 0x7FC0_0000, 0x0005_0000
EACCES, ENOSYS, EOPNOTSUPP = 13, 38, 95
RECEIVE, ANSWER, GO_ON = 0xC050_2100, 0xC018_2101, 1
_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these, and what it starts would too."""


def program(told: dict[str, object], command: Sequence[str]) -> list[str]:
    """What to start. Imported as a module, so that it is compiled once."""
    starter = [sys.executable, "-I", "-S", "-c", STARTER, str(Path(__file__).parent)]
    return [*starter, json.dumps(told), *command]


_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def syscall(name: str, number: int, *arguments: Any) -> int:
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return call(name, _libc.syscall(ctypes.c_long(number), *words))


def prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    call("prctl", _libc.prctl(option, *words))


def limit(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def drop_capabilities() -> None:
    with suppress(OSError):
        for capability in range(64):
            prctl(24, capability)
    header, nothing = ctypes.create_string_buffer(struct.pack("Ii", 0x2008_0522, 0)), ctypes.create_string_buffer(24)
    call("capset", _libc.capset(header, nothing))


def fence(read: list[str], write: list[str]) -> None:
    """Landlock: below these paths and nowhere else. What is not there is left out."""
    abi = syscall("landlock", 444, 0, 0, 1)
    rights = RIGHTS_SINCE[min(abi, 3)]
    words = (rights, 0, 3) if abi >= SCOPES_SINCE else (rights,)
    ruleset = syscall("landlock", 444, struct.pack(f"{len(words)}Q", *words), 8 * len(words), 0)
    for paths, wanted in ((read, READ), (write, READ | WRITE)):
        for path in paths:
            with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                allowed = wanted & rights & (~0 if Path(path).is_dir() else OF_A_FILE)
                syscall("landlock", 445, ruleset, 1, struct.pack("=Qi", allowed, place), 0)
                os.close(place)
    syscall("landlock", 446, ruleset, 0)
    os.close(ruleset)


def filter_program(*, offline: bool) -> bytes:
    """A classic BPF program: ``connect`` is asked about; the ways round it are closed."""
    arch, numbers = CALLS[os.uname().machine]
    low = [16 + 8 * index for index in range(6)]
    steps: list[tuple[int, int, int, int]] = []

    def returns(value: int) -> None:
        steps.append((0x06, 0, 0, value))

    def load(offset: int) -> None:
        steps.append((0x20, 0, 0, offset))

    def section(number: int, body: list[tuple[int, int, int, int]]) -> None:
        steps.extend([(0x15, 0, len(body), number), *body])

    def failing(error: int) -> tuple[int, int, int, int]:
        return (0x06, 0, 0, FAIL | error)

    allow = (0x06, 0, 0, ALLOW)
    load(4)
    steps.append((0x15, 1, 0, arch))
    returns(FAIL | ENOSYS)
    load(0)
    steps.append((0x35, 0, 1, FOREIGN))
    returns(FAIL | ENOSYS)
    section(IO_URING_SETUP, [failing(ENOSYS)])
    section(numbers["connect"], [(0x06, 0, 0, ASK)])
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        section(numbers[name], [(0x20, 0, 0, low[flags]), (0x45, 0, 1, FAST_OPEN), failing(EOPNOTSUPP), allow])
    fast = [(0x20, 0, 0, low[1]), (0x15, 0, 3, TCP), (0x20, 0, 0, low[2]), (0x15, 0, 1, TCP_FASTOPEN_CONNECT)]
    section(numbers["option"], [*fast, failing(EOPNOTSUPP), allow])
    if offline:
        domain = [(0x20, 0, 0, low[0]), (0x15, 1, 0, socket.AF_INET), (0x15, 0, 1, socket.AF_INET6)]
        section(numbers["socket"], [*domain, failing(EACCES), allow])
    returns(ALLOW)
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def ask_about_addresses(*, offline: bool) -> int:
    """From here on. Returns the descriptor from which questions are read."""
    program = filter_program(offline=offline)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    return syscall("seccomp", {"x86_64": 317, "aarch64": 277}[os.uname().machine], 1, 8, header)


class Doorkeeper:
    """Answers what the kernel asks about ``connect``."""

    def __init__(self, questions: int, denied: list[str]) -> None:
        self.questions = questions
        self._denied = denied

    def hear(self) -> None:
        import fcntl
        import threading

        question = bytearray(80)
        try:
            fcntl.ioctl(self.questions, RECEIVE, question)
        except OSError:
            return
        threading.Thread(target=self._answer, args=(bytes(question),), daemon=True).start()

    def _answer(self, question: bytes) -> None:
        import fcntl

        id_, pid = struct.unpack_from("QI", question)
        descriptor, where, length = struct.unpack_from("3Q", question, 32)
        try:
            error = self._connect(pid, descriptor, where, min(length, 128))
        except OSError as found:
            error = found.errno or EACCES
        answer = struct.pack("QqiI", id_, 0, -max(error, 0), GO_ON if error < 0 else 0)
        with suppress(OSError):
            fcntl.ioctl(self.questions, ANSWER, bytearray(answer))

    def _connect(self, pid: int, descriptor: int, where: int, length: int) -> int:
        """An error's number, 0 when the socket is connected, -1 when it may connect itself."""
        status = Path(f"/proc/{pid}/status").read_text()
        group = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Tgid"))
        leader = os.pidfd_open(group)
        try:
            with socket.socket(fileno=syscall("pidfd_getfd", 438, leader, descriptor & 0x7FFF_FFFF, 0)) as theirs:
                if theirs.family not in (socket.AF_INET, socket.AF_INET6):
                    return -1
                with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                    memory.seek(where)
                    address = memory.read(length)
                return EACCES if self._is_denied(address) else _connected(theirs, address)
        finally:
            os.close(leader)

    def _is_denied(self, address: bytes) -> bool:
        import ipaddress

        family = struct.unpack_from("H", address)[0] if len(address) >= 8 else 0
        if family == socket.AF_INET6 and len(address) >= 24:
            whole = ipaddress.IPv6Address(address[8:24])
            asked: ipaddress.IPv4Address | ipaddress.IPv6Address = whole.ipv4_mapped or whole
        elif family == socket.AF_INET:
            asked = ipaddress.IPv4Address(address[4:8])
        else:
            return False
        return any(asked in ipaddress.ip_network(network) for network in self._denied)


def _connected(theirs: socket.socket, address: bytes) -> int:
    result = _libc.connect(theirs.fileno(), address, len(address))
    return ctypes.get_errno() if result < 0 else 0


def begin(spec: dict[str, Any], command: list[str], channel: socket.socket) -> None:
    """In the child: gives up what it may not have, and becomes the command."""
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    for group in spec.get("groups", ()):
        Path(group, "cgroup.procs").write_text("0")
    limit(spec.get("limits", {}))
    guarded = bool(spec.get("denied") or spec.get("offline"))
    if spec.get("drop") and os.geteuid() == 0 and sys.platform == "linux":
        drop_capabilities()
    if sys.platform == "linux" and (guarded or "read" in spec or spec.get("drop")):
        prctl(38, 1)
    if "read" in spec:
        fence(spec["read"], spec["write"])
    if guarded:
        questions = ask_about_addresses(offline=bool(spec.get("offline")))
        socket.send_fds(channel, [b"x"], [questions])
        os.close(questions)
    channel.close()
    os.execvp(command[0], command)  # noqa: S606 - that is what it is for


def watch(child: int, doorkeeper: Doorkeeper | None, ended: int) -> int:
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    if doorkeeper:
        poll.register(doorkeeper.questions, select.POLLIN)
    while True:
        for descriptor, event in poll.poll():
            if descriptor == ended:
                os.read(ended, 512)
            elif doorkeeper and event & select.POLLIN:
                doorkeeper.hear()
            else:
                poll.unregister(descriptor)
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    code = os.waitstatus_to_exitcode(found[1])
                    return code if code >= 0 else 128 - code


def end_the_rest() -> None:
    """Those that left the session have become our children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with suppress(OSError, ChildProcessError):
        while left := children.read_text().split():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            os.waitpid(-1, 0)


def main(argv: list[str]) -> int:
    """Exits as the command does; 128 and the signal's number when a signal ended it."""
    spec, command = json.loads(argv[1]), argv[2:]
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    with suppress(OSError, AttributeError):
        prctl(36, 1)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            begin(spec, command, theirs)
        except (OSError, KeyError) as error:
            sys.stderr.write(f"cannot confine {command[0]}: {error}\n")
        os._exit(UNUSABLE)
    theirs.close()
    _, questions, _, _ = socket.recv_fds(ours, 1, 1)
    code = watch(child, Doorkeeper(questions[0], spec.get("denied", [])) if questions else None, reading)
    end_the_rest()
    return code
