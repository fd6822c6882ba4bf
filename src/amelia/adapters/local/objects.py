"""An object store that is a folder."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from ...contract.workflow import ClaimCheck
from ...errors import Malformed, NotFound, Refused, Unavailable


class FolderObjects:
    """Keys become paths below ``root``. Every object appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, prefix: str, data: bytes) -> ClaimCheck:
        sha256 = hashlib.sha256(data).hexdigest()
        key = f"{prefix.rstrip('/')}/{sha256}"
        await self.write(key, data)
        return ClaimCheck(key=key, size=len(data), sha256=sha256)

    async def get(self, claim: ClaimCheck) -> bytes:
        data = await self.read(claim.key)
        if data is None:
            raise NotFound(f"there is no object {claim.key}; it was never stored here or has been removed")
        if len(data) != claim.size or hashlib.sha256(data).hexdigest() != claim.sha256:
            raise Malformed(f"the object {claim.key} is not what was claimed: its size or sha256 differs")
        return data

    async def write(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._place, self._path(key), data)

    async def read(self, key: str) -> bytes | None:
        return await asyncio.to_thread(_load, self._path(key))

    async def put_file(self, prefix: str, path: Path) -> ClaimCheck:
        return await asyncio.to_thread(self._put_file, prefix, path)

    def _put_file(self, prefix: str, path: Path) -> ClaimCheck:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"{prefix.rstrip('/')}/{sha256}"
        self._place(self._path(key), path)
        return ClaimCheck(key=key, size=path.stat().st_size, sha256=sha256)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\0" in key:
            raise Refused(f"{key!r} is no key of an object; a key is a relative path without '..'")
        return self._root.joinpath(*parts)

    def _place(self, target: Path, source: bytes | Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                if isinstance(source, bytes):
                    file.write(source)
                else:
                    with source.open("rb") as origin:
                        shutil.copyfileobj(origin, file)
            Path(name).replace(target)
        except OSError as error:
            raise Unavailable(f"cannot write {target}: {error.strerror}; look at its space and permissions") from error


def _load(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
