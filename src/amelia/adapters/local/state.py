"""The state directory: everything a laptop's fleet keeps, readable by its owner alone."""

import json
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path

from amelia.errors import Refused

LOOPBACK = "127.0.0.1"
_MARK = "amelia-state"


class StateDirectory:
    """``root`` holds ``postgres/ emulator/ agentcore/ logs/ run/``, kept ports, secrets and ``fleet.json``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path) -> "StateDirectory":
        """Creates what is missing. A directory that was there before and holds other things keeps its own mode.

        Raises ``Refused`` when it cannot be written or belongs to everyone.
        """
        root = root.expanduser().absolute()
        try:
            _make_root(root)
        except OSError as error:
            reason = error.strerror or error
            raise Refused(f"{root} cannot hold the fleet's state: {reason}; choose another with --state-dir") from error
        state = cls(root)
        for folder in (state.logs, state.run, state.emulator, state.agentcore):
            folder.mkdir(mode=0o700, exist_ok=True)
        return state

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What only a running fleet needs."""
        return self.root / "run"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def emulator(self) -> Path:
        return self.root / "emulator"

    @property
    def agentcore(self) -> Path:
        return self.root / "agentcore"

    @property
    def token_file(self) -> Path:
        return self.root / "token"

    @property
    def master_secret_file(self) -> Path:
        return self.root / "master-key.json"

    @property
    def fleet_file(self) -> Path:
        return self.root / "fleet.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    def ready_file(self, name: str) -> Path:
        """Holds the number of the process that is up and has all it needs; missing until then."""
        return self.run / f"{name}.ready"

    def socket_file(self) -> Path:
        """Of the supervisor; in a short directory when a socket's path (107 bytes) would not hold ``run/``."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= 90:
            return path
        short = Path(tempfile.gettempdir()) / f"amelia-{os.getuid()}-{_short_name(self.root)}"
        short.mkdir(mode=0o700, exist_ok=True)
        status = short.lstat()
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) != 0o700:
            raise Refused(f"{short} belongs to somebody else; give a shorter path with --state-dir")
        return short / "supervisor.sock"

    def secret(self, name: str) -> str:
        """A random word, drawn once and kept in ``root/name``."""
        path = self.root / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()

    def port(self, name: str) -> int:
        """The port kept for ``name``; another one when somebody else listens there meanwhile."""
        path = self.root / "ports.json"
        ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        port = ports.get(name)
        if port is None or not is_free(port):
            port = free_port()
            write_private(path, json.dumps({**ports, name: port}, indent=2))
        return port


def write_private(path: Path, text: str) -> None:
    """Replaces the file at once; mode 0600."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _make_root(root: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = root / _MARK
    if mark.exists() or not any(root.iterdir()):
        root.chmod(0o700)
    elif root.stat().st_mode & stat.S_IWOTH:
        raise OSError(0, "it is not empty and anyone may write to it")
    mark.touch(mode=0o600)


def _short_name(root: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
