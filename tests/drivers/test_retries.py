from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import TextDelta, Turn, Usage
from amelia.drivers.guesses import plain_id
from amelia.drivers.retries import Interrupted, Patience, asked_pause, retried


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_a_service_may_say_how_long_in_several_ways(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_pause(headers) == seconds


def test_a_date_says_how_long_from_now() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = asked_pause({"retry-after": then})
    assert asked is not None
    assert 3_000 < asked <= 3_600


async def test_what_broken_tries_have_used_is_in_the_bill() -> None:
    tries = 0

    async def attempt(assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
        nonlocal tries
        tries += 1
        assembly.usage = Usage(input_tokens=100, output_tokens=tries)
        yield TextDelta("so")
        if tries < 3:
            raise Interrupted("gone")
        assembly.stop = "end"

    *_, turn = [piece async for piece in retried("It", attempt, Patience(first_wait=0))]
    assert isinstance(turn, Turn)
    assert turn.usage == Usage(input_tokens=300, output_tokens=6)


def test_calls_are_kept_apart_by_their_ids_where_nobody_counts_them() -> None:
    assembly = Assembly()
    for id_, name, piece in (("a", "read", '{"x"'), ("a", "read", ": 1}"), ("b", "read", "{}"), ("", "list", "")):
        assembly.call(0, id_, name)
        assembly.arguments(0, piece)
    calls = assembly.turn(Usage()).tool_calls
    assert [(call.id, call.arguments) for call in calls] == [("a", {"x": 1}), ("b", {})]


def test_a_call_without_an_id_gets_one() -> None:
    assembly = Assembly()
    assembly.call(0, "", "read")
    assembly.call(1, "", "read")
    one, other = assembly.turn(Usage()).tool_calls
    assert one.id
    assert one.id != other.id


def test_ids_of_other_services_become_ones_that_all_take() -> None:
    assert plain_id("toolu_01A-b") == "toolu_01A-b"
    strange = plain_id("functions.run_command:0")
    assert strange.replace("_", "").isalnum()
    assert strange == plain_id("functions.run_command:0") != plain_id("functions.run_command:1")
    assert len(plain_id("x" * 64)) <= 40
