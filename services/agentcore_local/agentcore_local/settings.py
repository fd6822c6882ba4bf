"""What the server can be told, from a YAML file and the command line."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from agentcore_local.errors import StartError
from agentcore_local.faults import FaultPlan


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quotas; None means unlimited. AWS: 25 new sessions/s and 5,000 sessions per account,
    10 CreateEvents/s per actor and session."""

    new_sessions_per_second: float | None = None
    sessions: int | None = None
    events_per_second: float | None = None


class OauthProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`users` maps a user id to that user's token and wins over `access_token`. With neither,
    the answer is `authorization_url`, as in a user federation nobody has consented to yet."""

    access_token: str | None = None
    users: dict[str, str] = {}
    authorization_url: str | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty `workloads` accepts every workload name."""

    workloads: list[str] = []
    api_keys: dict[str, str] = {}
    oauth2: dict[str, OauthProvider] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds and may be fractions. Empty `runtimes` and `memories` accept every
    ARN and every memory id."""

    state_dir: Path
    app: str | None = None
    host: str = "127.0.0.1"
    port: int = 8421
    idle_timeout: float = 900.0
    max_lifetime: float = 28_800.0
    stop_grace: float = 15.0
    shutdown_grace: float = 5.0
    ping_interval: float = 2.0
    request_timeout: float = 900.0
    stream_timeout: float = 3_600.0
    keep_logs: int = 200
    environment: dict[str, str] = {}
    runtimes: list[str] = []
    memories: list[str] = []
    limits: Limits = Limits()
    identity: Identity = Identity()
    faults: FaultPlan = FaultPlan()


def load_settings(config: Path | None, overrides: dict[str, Any]) -> Settings:
    """Settings of a YAML file, with what is not None in `overrides` on top.

    Raises StartError for a file that is missing, is not YAML or has an unknown or wrong field.
    """
    try:
        content = yaml.safe_load(config.read_text()) if config else {}
        merged = {**(content or {}), **{key: value for key, value in overrides.items() if value is not None}}
        return msgspec.convert(merged, Settings, dec_hook=_decode)
    except (OSError, yaml.YAMLError, msgspec.ValidationError, TypeError) as error:
        raise StartError(f"the configuration {config or ''} cannot be used: {error}") from error


def read_env_file(path: Path) -> dict[str, str]:
    """Lines of NAME=VALUE; `#` comments, `export` and one pair of quotes are dropped."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise StartError(f"the environment file {path} cannot be read: {error.strerror}") from error
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    return {
        name.strip(): _unquoted(value.strip()) for name, equals, value in pairs if equals and not name.startswith("#")
    }


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _decode(wanted: type, value: object) -> object:
    if wanted is Path:
        return Path(str(value))
    raise NotImplementedError(wanted)
