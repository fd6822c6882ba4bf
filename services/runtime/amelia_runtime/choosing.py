"""Which model services answer the agents, and which of their models."""

from collections.abc import Mapping

from amelia.contract.workflow import Profile
from amelia.drivers.cast import Cast, cast_for

BY_CREDENTIAL = (
    ("ANTHROPIC_API_KEY", "api:anthropic"),
    ("ANTHROPIC_AUTH_TOKEN", "api:anthropic"),
    ("OPENAI_API_KEY", "api:openai"),
    ("AWS_ACCESS_KEY_ID", "api:bedrock"),
    ("AWS_PROFILE", "api:bedrock"),
    ("AWS_BEARER_TOKEN_BEDROCK", "api:bedrock"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "api:bedrock"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "api:bedrock"),
)
"""The first whose variable is set."""


def choose(profile: Profile, environ: Mapping[str, str]) -> Cast:
    """The profile's drivers and models; where it names none, those of ``AMELIA_DRIVER`` and ``AMELIA_MODEL``, else by
    which credentials there are. ``AMELIA_MODEL`` does not apply to a driver that the profile names and the environment
    not.
    """
    preferred = environ.get("AMELIA_DRIVER", "")
    found = preferred or next((d for variable, d in BY_CREDENTIAL if environ.get(variable)), "")
    ours = environ.get("AMELIA_MODEL", "") if profile.driver in ("", preferred) else ""
    return cast_for(profile, environ, driver=found, model=ours)
