"""A driver by its name. The service's SDK is imported only when its driver is made."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from shutil import which

from amelia.drivers.base import Driver
from amelia.drivers.retries import Patience
from amelia.errors import Refused
from amelia.loading import loading

PLAYED = "AMELIA_PLAYED"
"""Set where a conversation file answers. It is played over the protocols of services: a driver that speaks none of
them is then another one."""

_DEFAULT_MODELS = {
    "api:anthropic": "claude-sonnet-4-6",
    "api:openai": "gpt-6-sol",
    "api:bedrock": "global.anthropic.claude-sonnet-4-6",
    "cli:claude": "claude-sonnet-4-6",
}
"""Current models that the drivers get the most from: they can be forced to call a tool (Claude 5.5 and Fable 5.1
refuse that) and call tools through Chat Completions (GPT-6.1 and 6.2 do so only through Responses)."""


def create(
    driver: str, *, base_url: str | None = None, environ: Mapping[str, str], patience: Patience | None = None
) -> Driver:
    """``environ`` is where credentials and addresses are read: ``ANTHROPIC_API_KEY`` or
    ``ANTHROPIC_AUTH_TOKEN``, ``ANTHROPIC_BASE_URL``; ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``; ``AWS_*``,
    ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``; ``AMELIA_CLAUDE``, ``PATH`` and what Claude Code reads itself. ``base_url``
    wins over the address found there.

    Raises ``Refused`` when the name is unknown or a credential is missing. AWS credentials that may come from a
    profile, a container or an instance are only looked for, and refused, at the first request.
    """
    _known(driver)
    return _MAKERS[driver](base_url, environ, patience)


def default_model(driver: str) -> str:
    """Raises ``Refused`` when the driver is unknown."""
    _known(driver)
    return _DEFAULT_MODELS[driver]


def names() -> tuple[str, ...]:
    return tuple(_MAKERS)


def _known(driver: str) -> None:
    if driver in _MAKERS:
        return
    whole = {**{name: name for name in _MAKERS}, **{name.partition(":")[2]: name for name in _MAKERS}}
    nearest = get_close_matches(driver, whole, n=1)
    meant = f"; did you mean {whole[nearest[0]]}?" if nearest else ""
    raise Refused(f"there is no driver {driver!r}, only {', '.join(_MAKERS)}{meant}")


def _anthropic(base_url: str | None, environ: Mapping[str, str], patience: Patience | None) -> Driver:
    token = "" if environ.get("ANTHROPIC_API_KEY") else environ.get("ANTHROPIC_AUTH_TOKEN", "").strip()
    key = "" if token else _needed("api:anthropic", "ANTHROPIC_API_KEY", environ)
    with loading("anthropic"):
        from amelia.drivers.anthropic import AnthropicDriver

    address = base_url or environ.get("ANTHROPIC_BASE_URL") or None
    return AnthropicDriver(api_key=key, auth_token=token, base_url=address, patience=patience)


def _openai(base_url: str | None, environ: Mapping[str, str], patience: Patience | None) -> Driver:
    key = _needed("api:openai", "OPENAI_API_KEY", environ)
    with loading("openai"):
        from amelia.drivers.openai import OpenAIDriver

    address = base_url or environ.get("OPENAI_BASE_URL") or None
    return OpenAIDriver(api_key=key, base_url=address, patience=patience)


def _bedrock(base_url: str | None, environ: Mapping[str, str], patience: Patience | None) -> Driver:
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
    if region is None and not environ.get("AWS_PROFILE"):
        _needed("api:bedrock", "AWS_REGION", environ)
    if environ.get("AWS_ACCESS_KEY_ID"):
        _needed("api:bedrock", "AWS_SECRET_ACCESS_KEY", environ)
    with loading("aiobotocore.session"):
        from amelia.drivers.bedrock import BedrockDriver, Credentials

    credentials = Credentials(
        access_key=environ.get("AWS_ACCESS_KEY_ID") or None,
        secret_key=environ.get("AWS_SECRET_ACCESS_KEY") or None,
        session_token=environ.get("AWS_SESSION_TOKEN") or None,
        profile=environ.get("AWS_PROFILE") or None,
    )
    address = base_url or environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME") or None
    return BedrockDriver(region=region, credentials=credentials, base_url=address, patience=patience)


def _claude(base_url: str | None, environ: Mapping[str, str], patience: Patience | None) -> Driver:
    if environ.get(PLAYED):
        return _anthropic(base_url, environ, patience)
    wanted = environ.get("AMELIA_CLAUDE") or "claude"
    program = which(wanted, path=environ.get("PATH"))
    if program is None:
        raise Refused(
            f"the driver cli:claude needs Claude Code, and there is no program {wanted}; "
            "install it, or name it with AMELIA_CLAUDE, or choose another driver"
        )
    from amelia.drivers.claude_code import ClaudeCodeDriver

    address = {"ANTHROPIC_BASE_URL": base_url} if base_url else {}
    return ClaudeCodeDriver(program=program, environ={**environ, **address}, patience=patience)


def _needed(driver: str, variable: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable, "").strip()
    if not value:
        raise Refused(f"the driver {driver} needs {variable}, which is not set; set it and start again")
    return value


_MAKERS: Mapping[str, Callable[[str | None, Mapping[str, str], Patience | None], Driver]] = {
    "api:anthropic": _anthropic,
    "api:openai": _openai,
    "api:bedrock": _bedrock,
    "cli:claude": _claude,
}
