"""The master secret of event signatures: ``{"current": 1, "keys": {"1": "<hexadecimal>"}}`` in Secrets Manager."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import NotFound, Refused, Unavailable
from ...redaction import ours
from .session import translated

log = logging.getLogger(__name__)

_FRESH_SECONDS = 300.0
_REFRESH_SECONDS = 5.0


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
        self._read_at = float("-inf")
        self._answered = False

    async def current(self) -> tuple[int, bytes]:
        secret = await self._read()
        return secret.current, bytes.fromhex(secret.keys[secret.current])

    async def all(self) -> Sequence[bytes]:
        secret = await self._read()
        newest_first = sorted(secret.keys, key=lambda version: (version != secret.current, -version))
        return [bytes.fromhex(secret.keys[version]) for version in newest_first]

    async def refresh(self) -> bool:
        """Asks again when the last time is some seconds ago; true when it did and had an answer."""
        if time.monotonic() - self._read_at < _REFRESH_SECONDS:
            return False
        self._read_at = float("-inf")
        await self._read()
        return self._answered

    async def _read(self) -> _Secret:
        """Whatever is wrong with the secret may be mended: ``Unavailable``, unless an earlier answer still serves."""
        if time.monotonic() - self._read_at <= _FRESH_SECONDS and self._secret is not None:
            return self._secret
        try:
            with translated(f"reading the secret {self._name}"):
                answer = await self._client.get_secret_value(SecretId=self._name)
            self._secret = _checked(answer["SecretString"])
            self._answered = True
        except (NotFound, Refused, Unavailable, msgspec.MsgspecError, KeyError, ValueError) as error:
            if self._secret is None:
                raise Unavailable(f"the secret {self._name} cannot be used: {error}") from error
            self._answered = False
            log.warning("the secret %s cannot be read again: %s", self._name, error)
        self._read_at = time.monotonic()
        return self._secret


def _checked(text: str) -> _Secret:
    secret = msgspec.json.decode(text, type=_Secret, strict=False)
    for key in secret.keys.values():
        if not bytes.fromhex(key):
            raise ValueError("one of its keys is empty")
        ours().learn("master-secret", key)
    if secret.current not in secret.keys:
        raise ValueError("its current version is not among its keys")
    return secret
