"""What a turn cost, from the list prices in ``prices.yaml``."""

from functools import cache
from importlib.resources import files

import msgspec

from amelia.drivers.base import Usage


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Micro-dollars for a million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int


class PriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    as_of: str
    models: dict[str, Price]


@cache
def price_list() -> PriceList:
    """Read once, at the first question."""
    text = files("amelia.drivers").joinpath("prices.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=PriceList, strict=False)


def price_of(model: str) -> Price | None:
    """The price under the longest beginning of the model's name (up to a hyphen), or ``None`` when there is none.

    Bedrock's names are looked up without what comes before the model: ``global.anthropic.claude-…`` as ``claude-…``,
    an ARN as its last part.
    """
    name = model.rsplit("/", 1)[-1]
    _, found, rest = name.partition("anthropic.")
    name = rest if found else name
    prices = price_list().models
    return max(
        ((known, price) for known, price in prices.items() if name == known or name.startswith(f"{known}-")),
        key=lambda entry: len(entry[0]),
        default=(None, None),
    )[1]


def is_priced(model: str) -> bool:
    return price_of(model) is not None


def cost_microdollars(model: str, usage: Usage) -> int:
    """Rounded up; 0 for a model without a price, which ``is_priced`` tells from a turn that was free."""
    price = price_of(model)
    if price is None:
        return 0
    total = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_read_tokens * price.cache_read
        + usage.cache_write_tokens * price.cache_write
    )
    return -(-total // 1_000_000)
