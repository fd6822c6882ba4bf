"""Runs a command that can do less than its parent, and ends everything it leaves behind.

A program of its own, for Linux, which takes only such modules of the standard library as are loaded
in a moment, because it stands before every command. What it is told is a dictionary, marshalled, in hex: ``limits``
(resource limits by name), ``groups`` (folders of control groups to join), ``read`` and ``write`` (paths below which
that is allowed, by Landlock; without ``read`` there is no such bound), ``drop`` (give up root's capabilities),
``denied`` (networks that cannot be connected to: family, first address as a number, length) and ``offline``. What the
system cannot do is an error, 125, and the command is not run.

Addresses are judged here, outside the command: the kernel stops it at ``connect`` and asks (seccomp's notifications).
An internet socket is then connected by us, to the address that was judged, so that it cannot be changed in between
(where a container's own rules forbid us to, the command connects it itself).
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import fcntl
import marshal
import os
import resource
import select
import struct
from _thread import start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNUSABLE = 125
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
INET, INET6, SO_DOMAIN, LONGEST_ADDRESS = 2, 10, 39, 128
RECEIVE, ANSWER, GO_ON = 0xC050_2100, 0xC018_2101, 1
SIGKILL, RESET = 9, (13, 25)
"""SIGPIPE and SIGXFSZ: Python ignores them, and what it starts would too."""


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
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


def drop_capabilities() -> None:
    last = int(contents("/proc/sys/kernel/cap_last_cap"))
    for capability in range(last + 1):
        prctl(24, capability)
    header, nothing = ctypes.create_string_buffer(struct.pack("Ii", 0x2008_0522, 0)), ctypes.create_string_buffer(24)
    call("capset", _libc.capset(header, nothing))


def contents(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 - see above
        return file.read()


def fence(read: list[str], write: list[str]) -> None:
    """Landlock: below these paths and nowhere else. What is not there is left out."""
    abi = syscall("landlock", 444, 0, 0, 1)
    rights = RIGHTS_SINCE[min(abi, 3)]
    words = (rights, 0, 3) if abi >= SCOPES_SINCE else (rights,)
    ruleset = syscall("landlock", 444, struct.pack(f"{len(words)}Q", *words), 8 * len(words), 0)
    for paths, wanted in ((read, READ), (write, READ | WRITE)):
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            of_it = ~0 if os.fstat(place).st_mode & 0o170000 == 0o040000 else OF_A_FILE
            syscall("landlock", 445, ruleset, 1, struct.pack("=Qi", wanted & rights & of_it, place), 0)
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
    returns(FAIL | errno.ENOSYS)
    load(0)
    steps.append((0x35, 0, 1, FOREIGN))
    returns(FAIL | errno.ENOSYS)
    section(IO_URING_SETUP, [failing(errno.ENOSYS)])
    section(numbers["connect"], [(0x06, 0, 0, ASK)])
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        section(numbers[name], [(0x20, 0, 0, low[flags]), (0x45, 0, 1, FAST_OPEN), failing(errno.EOPNOTSUPP), allow])
    fast = [(0x20, 0, 0, low[1]), (0x15, 0, 3, TCP), (0x20, 0, 0, low[2]), (0x15, 0, 1, TCP_FASTOPEN_CONNECT)]
    section(numbers["option"], [*fast, failing(errno.EOPNOTSUPP), allow])
    if offline:
        domain = [(0x20, 0, 0, low[0]), (0x15, 1, 0, INET), (0x15, 0, 1, INET6)]
        section(numbers["socket"], [*domain, failing(errno.EACCES), allow])
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

    def __init__(self, questions: int, denied: list[tuple[int, int, int]]) -> None:
        self.questions = questions
        self._denied = denied

    def hear(self) -> None:
        question = bytearray(80)
        try:
            fcntl.ioctl(self.questions, RECEIVE, question)
        except OSError:
            return
        start_new_thread(self._answer, (bytes(question),))

    def _answer(self, question: bytes) -> None:
        id_, pid = struct.unpack_from("QI", question)
        descriptor, where, length = struct.unpack_from("3Q", question, 32)
        try:
            error = self._connect(pid, descriptor & 0x7FFF_FFFF, where, min(length, LONGEST_ADDRESS))
        except OSError as found:
            error = found.errno or errno.EACCES
        answer = struct.pack("QqiI", id_, 0, -max(error, 0), GO_ON if error < 0 else 0)
        try:
            fcntl.ioctl(self.questions, ANSWER, bytearray(answer))
        except OSError:
            return

    def _connect(self, pid: int, descriptor: int, where: int, length: int) -> int:
        """An error's number, 0 when the socket is connected, -1 when it may connect itself."""
        group = next(line for line in contents(f"/proc/{pid}/status").splitlines() if line.startswith("Tgid"))
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            address = os.pread(memory, length, where)
        finally:
            os.close(memory)
        if self._is_denied(address):
            return errno.EACCES
        try:
            theirs = taken(int(group.split()[1]), descriptor)
        except PermissionError:
            return -1
        try:
            if family_of(theirs) not in (INET, INET6):
                return -1
            return ctypes.get_errno() if _libc.connect(theirs, address, len(address)) < 0 else 0
        finally:
            os.close(theirs)

    def _is_denied(self, address: bytes) -> bool:
        family = struct.unpack_from("H", address)[0] if len(address) >= 8 else 0
        asked = address[4:8] if family == INET else address[8:24] if family == INET6 else b""
        if asked[:12] == b"\0" * 10 + b"\xff\xff":
            family, asked = INET, asked[12:]
        number, bits = int.from_bytes(asked, "big"), len(asked) * 8
        return any(
            family == kind and number >> (bits - length) == first >> (bits - length)
            for kind, first, length in self._denied
        )


def family_of(descriptor: int) -> int:
    found, size = ctypes.c_int(), ctypes.c_uint(4)
    call("getsockopt", _libc.getsockopt(descriptor, 1, SO_DOMAIN, ctypes.byref(found), ctypes.byref(size)))
    return found.value


def taken(pid: int, descriptor: int) -> int:
    """Our own descriptor of what another has open."""
    other = os.pidfd_open(pid)
    try:
        return syscall("pidfd_getfd", 438, other, descriptor, 0)
    finally:
        os.close(other)


def begin(spec: dict[str, Any], command: list[str], telling: _socket.socket) -> None:
    """In the child: gives up what it may not have, and becomes the command."""
    for number in RESET:
        _libc.signal(number, None)
    for group in spec.get("groups", ()):
        with open(f"{group}/cgroup.procs", "w") as file:  # noqa: PTH123 - see above
            file.write("0")
    limit(spec.get("limits", {}))
    guarded = bool(spec.get("denied") or spec.get("offline"))
    if spec.get("drop") and os.geteuid() == 0:
        drop_capabilities()
    if guarded or "read" in spec or spec.get("drop"):
        prctl(38, 1)
    if "read" in spec:
        fence(spec["read"], spec["write"])
    if guarded:
        questions = ask_about_addresses(offline=bool(spec.get("offline")))
        telling.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", questions))])
    os.execvp(command[0], command)  # noqa: S606 - that is what it is for


def watch(child: int, doorkeeper: Doorkeeper | None) -> int:
    poll, ended = select.poll(), os.pidfd_open(child)
    poll.register(ended, select.POLLIN)
    if doorkeeper:
        poll.register(doorkeeper.questions, select.POLLIN)
    while True:
        for descriptor, event in poll.poll():
            if descriptor == ended:
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                return code if code >= 0 else 128 - code
            if doorkeeper and event & select.POLLIN:
                doorkeeper.hear()
            else:
                poll.unregister(descriptor)


def end_the_rest() -> None:
    """Those that left the session have become our children."""
    try:
        while left := contents(f"/proc/self/task/{os.getpid()}/children").split():
            for pid in left:
                os.kill(int(pid), SIGKILL)
            os.waitpid(-1, 0)
    except OSError:
        return


def main(argv: list[str]) -> int:
    """Exits as the command does; 128 and the signal's number when a signal ended it."""
    spec, command = marshal.loads(bytes.fromhex(argv[1])), argv[2:]  # noqa: S302 - from our parent
    prctl(36, 1)
    hearing, telling = _socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            begin(spec, command, telling)
        except OSError as error:
            os.write(2, f"cannot confine {command[0]}: {error}\n".encode())
        os._exit(UNUSABLE)
    telling.close()
    sent = hearing.recvmsg(1, _socket.CMSG_SPACE(4))[1]
    doorkeeper = Doorkeeper(struct.unpack("i", sent[0][2])[0], spec.get("denied", [])) if sent else None
    code = watch(child, doorkeeper)
    end_the_rest()
    return code
