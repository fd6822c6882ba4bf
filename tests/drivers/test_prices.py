import pytest

from amelia.drivers import factory
from amelia.drivers.base import Usage
from amelia.drivers.prices import cost_microdollars, is_priced, price_list, price_of

USAGE = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=10_000, cache_write_tokens=500)


def test_every_kind_of_token_has_its_own_price() -> None:
    assert cost_microdollars("claude-sonnet-4-6", USAGE) == 3_000 + 3_000 + 3_000 + 1_875


def test_a_part_of_a_microdollar_is_rounded_up() -> None:
    assert cost_microdollars("gpt-5-nano", Usage(input_tokens=1)) == 1


def test_an_unknown_model_costs_nothing_and_is_known_to_be_unknown() -> None:
    assert cost_microdollars("someone-else-1", USAGE) == 0
    assert not is_priced("someone-else-1")


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
    assert price_of(model) == price_list().models[listed]


def test_a_new_version_is_not_taken_for_an_old_one() -> None:
    assert not is_priced("gpt-5.9")


@pytest.mark.parametrize("driver", factory.names())
def test_default_models_have_prices(driver: str) -> None:
    assert is_priced(factory.default_model(driver))
