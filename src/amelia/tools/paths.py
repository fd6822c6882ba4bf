"""Where an agent may reach: below the worktree's root, wherever links point."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

LARGEST_FILE = 2_000_000


class ToolError(Exception):
    """What went wrong, told to the agent so that it can do otherwise."""


def inside(root: Path, name: str) -> Path:
    """The real path of ``name``. Raises ``ToolError`` when it is outside the root, or git's own."""
    if not name or "\0" in name:
        raise ToolError("a path is missing; give one relative to the repository's root")
    top = root.resolve()
    try:
        path = (top / name).resolve()
    except (OSError, RuntimeError) as error:
        raise ToolError(f"{name} is a link that leads nowhere; give the path of a file") from error
    if not path.is_relative_to(top):
        raise ToolError(f"{name} is outside the repository; give a path relative to its root")
    if any(part.lower() == ".git" for part in path.relative_to(top).parts):
        raise ToolError(f"{name} belongs to git itself and is not to be touched")
    return path


def load(root: Path, name: str) -> str:
    """The text of a file below ``root``. Raises ``ToolError`` for what is no file, or not one of text."""
    path = inside(root, name)
    try:
        with _opened(root.resolve(), path.relative_to(root.resolve()), os.O_RDONLY) as descriptor:
            kind = os.fstat(descriptor)
            if stat.S_ISDIR(kind.st_mode):
                raise ToolError(f"{name} is a folder; use list_files")
            if not stat.S_ISREG(kind.st_mode):
                raise ToolError(f"{name} is a device or a pipe; give the path of a file")
            if kind.st_size > LARGEST_FILE:
                raise ToolError(f"{name} is larger than {LARGEST_FILE} bytes; use search or run_command")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read().decode()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ToolError(f"there is no file {name}; use list_files to see what there is") from error
    except UnicodeDecodeError as error:
        raise ToolError(f"{name} is not a text file in UTF-8") from error


def save(root: Path, name: str | Path, data: str | bytes) -> None:
    """Folders are made as needed; the file keeps its mode. No link is followed on the way, even one that is put there
    meanwhile. Raises ``ToolError``."""
    path = inside(root, str(name))
    top = root.resolve()
    flags = os.O_WRONLY | os.O_CREAT
    try:
        with _opened(top, path.relative_to(top), flags) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ToolError(f"{name} is a folder or a device; give the path of a file")
            os.ftruncate(descriptor, 0)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data.encode() if isinstance(data, str) else data)
    except (IsADirectoryError, NotADirectoryError) as error:
        raise ToolError(f"{name} is a folder, or below a file; give the path of a file") from error


@contextlib.contextmanager
def _opened(top: Path, path: Path, flags: int) -> Iterator[int]:
    """``path``, already free of links, from folder to folder. ``O_NONBLOCK``: nobody waits for a pipe's other end."""
    folder = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parts[:-1]:
            inner = _entered(folder, part, make=bool(flags & os.O_CREAT))
            os.close(folder)
            folder = inner
        name = path.name or "."
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ToolError(f"{path} became a link meanwhile; look again") from error
        if error.errno == errno.ENXIO:
            raise ToolError(f"{path} is a folder or a device; give the path of a file") from error
        raise
    finally:
        os.close(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entered(folder: int, name: str, *, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    return os.open(name, flags, dir_fd=folder)
