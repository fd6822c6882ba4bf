"""How much of a conversation a model can read."""

from collections.abc import Mapping

from ...drivers.base import Request, Usage
from ...errors import Refused
from ..job import Limits
from .trim import size

VARIABLE = "AMELIA_CONTEXT_TOKENS"
LEAST = 8_000

TOKENS = {
    "claude": 200_000,
    "gpt-4o": 128_000,
    "gpt-4.1": 1_000_000,
    "gpt-5": 272_000,
    "gpt-6": 272_000,
}
"""A family's context window; of newer models of it at least so much. What continues the name is of the family."""
UNKNOWN = 128_000
"""Of a model that is of none of them."""
USUAL = 3_000
"""Characters of code and prose in a thousand tokens, until the service has counted some."""
_DENSEST, _THINNEST = 2_000, 4_000


def window(model: str, given: int = 0) -> int:
    """In tokens. ``given`` is what was set, 0 when nothing was. Bedrock's names count without what comes before the
    model's own."""
    if given:
        return given
    name = model.rsplit("/", 1)[-1].rsplit("anthropic.", 1)[-1].lower()
    return max((TOKENS[known] for known in TOKENS if name.startswith(known)), default=UNKNOWN)


def density(request: Request, usage: Usage) -> int:
    """Characters in a thousand tokens, as the service counted this request; within what can be believed."""
    tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if not tokens:
        return USUAL
    return max(_DENSEST, min(_THINNEST, characters(request) * 1_000 // tokens))


def characters(request: Request) -> int:
    """All that is sent, the tools too."""
    said = len(request.system) + sum(size(message) for message in request.messages)
    return said + sum(len(tool.description) + len(repr(tool.parameters)) for tool in request.tools)


def limits_for(environ: Mapping[str, str]) -> Limits:
    """With what ``AMELIA_CONTEXT_TOKENS`` says of the models. Raises ``Refused`` when that is no number of tokens."""
    given = environ.get(VARIABLE, "")
    if not given:
        return Limits()
    if not given.isdecimal() or int(given) < LEAST:
        raise Refused(f"{VARIABLE}={given} is no context window; give the tokens the model can read, {LEAST} at least")
    return Limits(context_tokens=int(given))
