"""What a turn cost, from the list prices in ``prices.yaml`` and whoever's file comes over them."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec.structs import replace

from amelia.drivers.base import Usage
from amelia.errors import Refused

VARIABLE = "AMELIA_PRICES"


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Micro-dollars for a million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int


class PriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``unknown`` is what a model without a price of its own is counted at."""

    as_of: str
    models: dict[str, Price]
    unknown: Price

    def of(self, model: str) -> Price | None:
        """The price under the longest beginning of the model's name (up to a hyphen), or None when there is none.

        Bedrock's names are looked up without what comes before the model: ``global.anthropic.claude-…`` as
        ``claude-…``, an ARN as its last part.
        """
        name = model.rsplit("/", 1)[-1]
        _, found, rest = name.partition("anthropic.")
        name = rest if found else name
        fitting = (known for known in self.models if name == known or name.startswith(f"{known}-"))
        nearest = max(fitting, key=len, default="")
        return self.models[nearest] if nearest else None

    def cost(self, model: str, usage: Usage) -> int:
        """Micro-dollars, rounded up."""
        price = self.of(model) or self.unknown
        total = (
            usage.input_tokens * price.input
            + usage.output_tokens * price.output
            + usage.cache_read_tokens * price.cache_read
            + usage.cache_write_tokens * price.cache_write
        )
        return -(-total // 1_000_000)


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of one's own: prices that are added or replaced."""

    as_of: str = ""
    models: dict[str, Price] = {}
    unknown: Price | None = None


@cache
def price_list() -> PriceList:
    """The list that comes with the package. Read once, at the first question."""
    text = files("amelia.drivers").joinpath("prices.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=PriceList, strict=False)


def prices_for(environ: Mapping[str, str]) -> PriceList:
    """The list, with the prices of the YAML file that ``AMELIA_PRICES`` names over it. Raises ``Refused`` for a file
    that cannot be read."""
    name = environ.get(VARIABLE, "")
    if not name:
        return price_list()
    try:
        changes = msgspec.yaml.decode(Path(name).read_bytes(), type=Changes, strict=False)
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(f"{VARIABLE}={name} is no file of prices ({error}); mend it, or unset the variable") from error
    listed = price_list()
    return replace(
        listed,
        as_of=changes.as_of or listed.as_of,
        models={**listed.models, **changes.models},
        unknown=changes.unknown or listed.unknown,
    )
