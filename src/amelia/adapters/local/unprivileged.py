"""PostgreSQL refuses to run as root. Two ways around that, both without a user of our own on the machine.

``namespace``: a user namespace in which root has another number; files stay root's.
``setuid``: an ordinary user of the system that may still read what root may (for containers that forbid namespaces).
"""

import ctypes
import os
import pwd
from pathlib import Path

NAMESPACE = "namespace"
SETUID = "setuid"

_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def account() -> pwd.struct_passwd:
    """One that every Linux has; initdb asks for the name of its user."""
    for name in ("postgres", "daemon", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise OSError("this machine knows no user 'daemon' or 'nobody'")


def owner(identity: str) -> tuple[int, int]:
    """User and group that files of such a program belong to."""
    if identity == SETUID:
        who = account()
        return who.pw_uid, who.pw_gid
    return os.geteuid(), os.getegid()


def become(identity: str) -> None:
    """Changes this very process (which must have one thread and be root); raises ``OSError``."""
    if identity == NAMESPACE:
        _enter_namespace()
    elif identity == SETUID:
        _drop_to_account()


def _enter_namespace() -> None:
    who, uid, gid = account(), os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{who.pw_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{who.pw_gid} {gid} 1")


def _drop_to_account() -> None:
    who = account()
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
    bit = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _call("capset", header, data)
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
