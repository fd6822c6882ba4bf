from pathlib import Path

import pytest

from amelia.drivers import factory
from amelia.drivers.base import Usage
from amelia.drivers.prices import Price, price_list, prices_for
from amelia.errors import Refused

USAGE = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=10_000, cache_write_tokens=500)


def test_every_kind_of_token_has_its_own_price() -> None:
    assert price_list().cost("claude-sonnet-4-6", USAGE) == 3_000 + 3_000 + 3_000 + 1_875


def test_a_part_of_a_microdollar_is_rounded_up() -> None:
    assert price_list().cost("gpt-5-nano", Usage(input_tokens=1)) == 1


def test_an_unknown_model_is_counted_at_the_highest_price_of_each_kind() -> None:
    prices = price_list()
    assert prices.of("someone-else-1") is None
    assert prices.cost("someone-else-1", USAGE) > prices.cost("claude-opus-4-5", USAGE) - 1
    for kind in Price.__struct_fields__:
        assert getattr(prices.unknown, kind) == max(getattr(price, kind) for price in prices.models.values())


def test_a_file_of_ones_own_adds_and_replaces_prices(tmp_path: Path) -> None:
    mine = tmp_path / "prices.yaml"
    free = "{input: 0, output: 0, cache_read: 0, cache_write: 0}"
    mine.write_text(f"models:\n  someone-else: {free}\n  gpt-5-nano: {free}\n")
    prices = prices_for({"AMELIA_PRICES": str(mine)})
    assert prices.cost("someone-else-1", USAGE) == prices.cost("gpt-5-nano", USAGE) == 0
    assert prices.cost("gpt-5-mini", USAGE) == price_list().cost("gpt-5-mini", USAGE)


@pytest.mark.parametrize("text", ["models: {x: {input: 1}}", "modles: {}", "[", None])
def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path, text: str | None) -> None:
    mine = tmp_path / "prices.yaml"
    if text is not None:
        mine.write_text(text)
    with pytest.raises(Refused, match=r"prices\.yaml is no file of prices"):
        prices_for({"AMELIA_PRICES": str(mine)})


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4"),
        ("global.anthropic.claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5-2025-08-07", "gpt-5"),
    ],
)
def test_the_longest_beginning_of_a_name_counts(model: str, listed: str) -> None:
    assert price_list().of(model) == price_list().models[listed]


def test_a_new_version_is_not_taken_for_an_old_one() -> None:
    assert price_list().of("gpt-5.9") is None


@pytest.mark.parametrize("driver", factory.names())
def test_default_models_have_prices(driver: str) -> None:
    assert price_list().of(factory.default_model(driver)) is not None
