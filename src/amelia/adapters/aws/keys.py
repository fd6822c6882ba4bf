"""The master secret of event signatures: ``{"current": 1, "keys": {"1": "<hexadecimal>"}}`` in Secrets Manager."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import NotFound, Refused, Unavailable
from .session import translated

_FRESH_SECONDS = 300.0


class _Secret(msgspec.Struct, frozen=True):
    current: int
    keys: dict[int, str]

    def __repr__(self) -> str:
        return f"<{len(self.keys)} master keys>"


class MasterKeys:
    """Asked for at first use and every five minutes, so that a rotated secret is honoured without a restart."""

    def __init__(self, client: Any, secret_name: str) -> None:
        self._client = client
        self._name = secret_name
        self._secret: _Secret | None = None
        self._read_at = 0.0

    async def current(self) -> tuple[int, bytes]:
        secret = await self._read()
        return secret.current, bytes.fromhex(secret.keys[secret.current])

    async def all(self) -> Sequence[bytes]:
        secret = await self._read()
        newest_first = sorted(secret.keys, key=lambda version: (version != secret.current, -version))
        return [bytes.fromhex(secret.keys[version]) for version in newest_first]

    async def _read(self) -> _Secret:
        """A secret that is not there yet is ``Unavailable``: whoever provisions may still be at it."""
        if self._secret is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
            try:
                with translated(f"reading the secret {self._name}"):
                    answer = await self._client.get_secret_value(SecretId=self._name)
                self._secret = msgspec.json.decode(answer["SecretString"], type=_Secret, strict=False)
            except NotFound as error:
                raise Unavailable(str(error)) from error
            except msgspec.MsgspecError as error:
                raise Refused(f"the secret {self._name} is not of the form it must have: {error}") from error
            self._read_at = time.monotonic()
        return self._secret
