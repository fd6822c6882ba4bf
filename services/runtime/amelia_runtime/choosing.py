"""Which model service answers the agents, and which of its models."""

from collections.abc import AsyncIterator, Mapping

from amelia.contract.workflow import Profile
from amelia.drivers.base import Driver, Request, TextDelta, Turn
from amelia.drivers.factory import create, default_model
from amelia.errors import Refused

BY_CREDENTIAL = (
    ("ANTHROPIC_API_KEY", "api:anthropic"),
    ("OPENAI_API_KEY", "api:openai"),
    ("AWS_ACCESS_KEY_ID", "api:bedrock"),
    ("AWS_PROFILE", "api:bedrock"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "api:bedrock"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "api:bedrock"),
)
"""The first whose variable is set."""


class Missing:
    """A driver that cannot be: refuses every request with what is wrong, so that the run itself says it."""

    name = "missing"

    def __init__(self, cause: str) -> None:
        self._cause = cause

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        raise Refused(self._cause)
        yield

    async def aclose(self) -> None:
        pass


def choose(profile: Profile, environ: Mapping[str, str]) -> tuple[Driver, str]:
    """The driver and the model: the profile's, else those of ``AMELIA_DRIVER`` and ``AMELIA_MODEL``, else by which
    credentials there are. ``AMELIA_MODEL`` does not apply to a driver that the profile names and the environment not.
    """
    preferred = environ.get("AMELIA_DRIVER", "")
    name = profile.driver or preferred or next((d for variable, d in BY_CREDENTIAL if environ.get(variable)), "")
    if not name:
        return Missing(
            "the runtime has no credentials for a model; set ANTHROPIC_API_KEY, OPENAI_API_KEY or AWS_*"
        ), profile.model
    try:
        ours = environ.get("AMELIA_MODEL", "") if profile.driver in ("", preferred) else ""
        return create(name, environ=environ), profile.model or ours or default_model(name)
    except Refused as error:
        return Missing(str(error)), profile.model
