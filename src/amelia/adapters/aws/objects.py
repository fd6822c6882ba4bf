"""The object store on S3."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from ...contract.workflow import ClaimCheck
from ...errors import Malformed, NotFound
from .session import translated


class S3Objects:
    """Implements ``ports.agents.ObjectStore``. ``client`` comes from ``session.open_client("s3", …)``."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def put(self, prefix: str, data: bytes) -> ClaimCheck:
        claim = _claim(prefix, len(data), hashlib.sha256(data).hexdigest())
        await self.write(claim.key, data)
        return claim

    async def put_file(self, prefix: str, path: Path) -> ClaimCheck:
        claim = _claim(prefix, *await asyncio.to_thread(_measure, path))
        with translated(f"storing {claim.key}"), await asyncio.to_thread(path.open, "rb") as body:
            await self._client.put_object(Bucket=self._bucket, Key=claim.key, Body=body)
        return claim

    async def get(self, claim: ClaimCheck) -> bytes:
        data = await self._fetch(claim.key, claim.size)
        if len(data) != claim.size or hashlib.sha256(data).hexdigest() != claim.sha256:
            raise Malformed(f"object {claim.key} is not what its claim check says; it was altered or cut")
        return data

    async def write(self, key: str, data: bytes) -> None:
        with translated(f"storing {key}"):
            await self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    async def read(self, key: str) -> bytes | None:
        try:
            return await self._fetch(key)
        except NotFound:
            return None

    async def _fetch(self, key: str, size: int | None = None) -> bytes:
        with translated(f"reading {key}"):
            answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            async with answer["Body"] as body:
                if size is not None and answer["ContentLength"] != size:
                    raise Malformed(f"object {key} has {answer['ContentLength']} bytes and not {size}; it was altered")
                data: bytes = await body.read()
                return data


def _claim(prefix: str, size: int, sha256: str) -> ClaimCheck:
    return ClaimCheck(key=f"{prefix.strip('/')}/{sha256}", size=size, sha256=sha256)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest
