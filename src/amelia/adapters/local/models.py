"""Which models a laptop's runtime speaks to, from the credentials it was started with."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

PRIVATE = ["ANTHROPIC_*", "OPENAI_*", "AWS_*"]
"""Variables of which only the runtime may see the caller's."""

NO_MODEL = (
    "no model is configured, so workflows will fail: set ANTHROPIC_API_KEY, OPENAI_API_KEY or AWS credentials "
    "and start again, or play one with --replay FILE"
)


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """Of the runtime's environment: what is set, and which of the caller's variables it must not see."""

    driver: str
    environ: dict[str, str] = {}
    unset: list[str] = []
    note: str = ""


def choose(environ: Mapping[str, str], replay_url: str = "") -> Models:
    """Replay wins, as it was asked for; then ``AMELIA_DRIVER``; then the first service with credentials."""
    if replay_url:
        return Models(
            driver=environ.get("AMELIA_DRIVER", "api:anthropic"), environ=_played_by(replay_url), unset=PRIVATE
        )
    found = list(_drivers(environ))
    if "AMELIA_DRIVER" in environ:
        return Models(driver=environ["AMELIA_DRIVER"], note="" if found else NO_MODEL)
    if not found:
        return Models(driver="api:anthropic", note=NO_MODEL)
    return Models(driver=found[0], note=f"models by {found[0]}")


def _played_by(url: str) -> dict[str, str]:
    return {
        "AMELIA_PLAYED": url,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "replay",
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "replay",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ACCESS_KEY_ID": "replay",
        "AWS_SECRET_ACCESS_KEY": "replay",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _drivers(environ: Mapping[str, str]) -> list[str]:
    found = []
    if environ.get("ANTHROPIC_API_KEY") or environ.get("ANTHROPIC_AUTH_TOKEN"):
        found.append("api:anthropic")
    if environ.get("OPENAI_API_KEY"):
        found.append("api:openai")
    if _has_aws(environ):
        found.append("api:bedrock")
    return found


def _has_aws(environ: Mapping[str, str]) -> bool:
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    )
    usual = Path(environ.get("HOME", "/")) / ".aws" / "credentials"
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or usual)
    return any(environ.get(name) for name in names) or file.is_file()
