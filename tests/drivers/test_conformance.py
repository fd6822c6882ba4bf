"""What every driver has to do, against a real server over HTTP and with the services' own SDKs."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from amelia.drivers import factory
from amelia.drivers.arguments import malformed
from amelia.drivers.base import Driver, Message, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.retries import Patience
from amelia.errors import Refused, Unavailable

from .conftest import COMPATIBLE
from .peer import Peer

CALLING = [name for name in (*factory.names(), COMPATIBLE) if name != "cli:claude"]
"""Drivers whose services know calls, rather than text that is one."""

pytestmark = pytest.mark.asyncio(loop_scope="module")
Ask = Callable[..., Request]


async def hear(driver: Driver, request: Request) -> tuple[list[str], Turn]:
    """The pieces of text, and the turn that has to come last and alone."""
    parts: list[TextDelta | Turn] = [part async for part in driver.stream(request)]
    *deltas, turn = parts
    assert isinstance(turn, Turn)
    return [delta.text for delta in deltas if isinstance(delta, TextDelta)], turn


def results(*parts: ToolResult) -> Message:
    return Message("user", parts)


async def test_text_comes_in_pieces_and_then_whole(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("plain"))
    assert len(deltas) > 1
    assert "".join(deltas) == turn.text == "Hello there, I am the model that you asked for today."
    assert turn.stop == "end"
    assert turn.tool_calls == ()


async def test_cached_tokens_are_counted_apart(request: pytest.FixtureRequest, driver: Driver, ask: Ask) -> None:
    """A service that does not count is counted by length."""
    _, turn = await hear(driver, ask("plain"))
    if request.node.callspec.id == COMPATIBLE:
        assert (turn.usage.input_tokens, turn.usage.output_tokens) > (50, 10)
        return
    assert turn.usage == Usage(input_tokens=120, output_tokens=30, cache_read_tokens=700, cache_write_tokens=50)


async def test_a_tool_call_follows_the_text_before_it(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("one"))
    text, call = turn.message.parts
    assert text == Text("I read the file first.") == Text("".join(deltas))
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("read_file", {"path": "src/x.py"})
    assert turn.stop == "tool_calls"


async def test_a_tool_result_is_answered_by_the_next_turn(driver: Driver, ask: Ask) -> None:
    _, first = await hear(driver, ask("one"))
    answer = results(ToolResult(first.tool_calls[0].id, "x = 1"))
    _, second = await hear(driver, ask("one", first.message, answer))
    assert second.text == "It is done."


async def test_parallel_calls_keep_their_order_and_have_different_ids(driver: Driver, ask: Ask) -> None:
    _, turn = await hear(driver, ask("many"))
    assert [call.arguments for call in turn.tool_calls] == [
        {"path": "a.py", "lines": [1, 2]},
        {"path": 'ü 日本 "quoted".py'},
        {},
    ]
    assert len({call.id for call in turn.tool_calls}) == 3


async def test_parallel_results_go_back_together_failed_and_empty_ones_too(driver: Driver, ask: Ask) -> None:
    _, first = await hear(driver, ask("many"))
    one, two, three = (call.id for call in first.tool_calls)
    answer = results(ToolResult(one, "text"), ToolResult(two, "no such file", is_error=True), ToolResult(three, ""))
    with pytest.raises(Refused, match=r"no answer for developer, task many, 100 %, round 1, turn 2 \(it has 1\)"):
        await hear(driver, ask("many", first.message, answer))


async def test_a_forced_tool_is_called(driver: Driver, ask: Ask) -> None:
    _, turn = await hear(driver, ask("forced", must_call="submit_plan"))
    assert [call.arguments for call in turn.tool_calls] == [
        {"title": "Plan", "tasks": [{"id": "a", "done": False, "weight": 1.5, "note": None}]}
    ]
    assert turn.stop == "tool_calls"


async def test_the_forced_tool_reaches_the_service(driver: Driver, ask: Ask) -> None:
    with pytest.raises(Refused, match="the request wants a call of submit_plan"):
        await hear(driver, ask("one", must_call="submit_plan"))


async def test_a_busy_service_is_asked_again(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("limited"))
    assert turn.text == "".join(deltas) == "after the limit"


async def test_a_broken_service_is_asked_again(driver: Driver, ask: Ask) -> None:
    assert (await hear(driver, ask("failing")))[1].text == "after all"


async def test_after_a_cut_stream_the_turn_is_whole(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("cut"))
    whole = "one two three four five six seven eight nine ten eleven twelve"
    assert turn.text == whole
    assert [call.arguments for call in turn.tool_calls] == [{"path": "a.py"}]
    assert "".join(deltas).endswith(whole)
    assert len("".join(deltas)) > len(whole)


async def test_a_service_that_stays_away_is_unavailable(driver: Driver, ask: Ask) -> None:
    with pytest.raises(Unavailable, match="after 5 tries"):
        await hear(driver, ask("dead"))


async def test_a_service_that_asks_for_an_hour_is_unavailable_at_once(driver: Driver, ask: Ask) -> None:
    with pytest.raises(Unavailable, match="3600 s"):
        await hear(driver, ask("patient"))


async def test_a_wrong_key_is_refused_with_the_variable_to_set(driver: Driver, ask: Ask) -> None:
    variable = {
        "api:anthropic": "ANTHROPIC_API_KEY",
        "api:openai": "OPENAI_API_KEY",
        "api:bedrock": "AWS_ACCESS_KEY_ID",
        "cli:claude": "ANTHROPIC_API_KEY",
    }
    with pytest.raises(Refused, match=variable[driver.name]) as refusal:
        await hear(driver, ask("forbidden"))
    assert "invalid key" in str(refusal.value)


async def test_an_invalid_request_is_refused_with_the_reason(driver: Driver, ask: Ask) -> None:
    with pytest.raises(Refused, match="max_tokens is too large"):
        await hear(driver, ask("invalid"))


@pytest.mark.parametrize("driver", CALLING, indirect=True)
async def test_malformed_arguments_are_handed_on_and_can_be_sent_back(driver: Driver, ask: Ask) -> None:
    _, first = await hear(driver, ask("malformed"))
    assert [malformed(call.arguments) for call in first.tool_calls] == ['{"command": ["ls", ', '["ls"]']
    told = results(*(ToolResult(call.id, "that is no JSON", is_error=True) for call in first.tool_calls))
    _, second = await hear(driver, ask("malformed", first.message, told))
    assert second.text == "I will write it properly."


@pytest.mark.parametrize("driver", CALLING, indirect=True)
async def test_an_answer_cut_at_the_token_limit_says_so(driver: Driver, ask: Ask) -> None:
    _, turn = await hear(driver, ask("stopped"))
    assert turn.stop == "max_tokens"
    assert malformed(turn.tool_calls[0].arguments) == '{"command": "ls'


async def test_any_script_arrives_unharmed(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("unicode"))
    expected = "Grüße, 世界! 👩‍👩‍👧‍👦 naïve “quotes”\n\ttabs & <tags> \\backslash"
    assert turn.text == "".join(deltas) == expected


async def test_a_large_answer_arrives_whole(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("large"))
    assert turn.text == "".join(deltas)
    assert len(turn.text.splitlines()) == 1500
    assert turn.tool_calls[0].arguments == {"command": "echo done"}


async def test_a_listener_may_leave_early(driver: Driver, ask: Ask) -> None:
    stream: Any = driver.stream(ask("slow"))
    async with aclosing(stream):
        assert isinstance(await anext(stream), TextDelta)
    assert (await hear(driver, ask("plain")))[1].text


async def test_many_agents_share_a_driver(driver: Driver, ask: Ask) -> None:
    heard = await asyncio.gather(*(hear(driver, ask("one")) for _ in range(20)))
    assert {turn.text for _, turn in heard} == {"I read the file first."}


@pytest.mark.parametrize("driver", ["api:anthropic", "api:bedrock"], indirect=True)
async def test_a_model_that_cannot_be_forced_is_asked_in_words(driver: Driver, ask: Ask) -> None:
    request = replace(ask("unforced", must_call="submit_plan"), model="unforced")
    _, turn = await hear(driver, request)
    assert turn.tool_calls[0].name == "submit_plan"
    _, turn = await hear(driver, replace(ask("one", must_call="submit_plan"), model="unforced"))
    assert turn.tool_calls[0].name == "read_file"


@pytest.mark.parametrize("driver", ["api:openai"], indirect=True)
async def test_a_model_that_takes_tools_only_without_reasoning_gets_that(driver: Driver, ask: Ask) -> None:
    assert (await hear(driver, replace(ask("unreasoned"), model="unreasoned")))[1].tool_calls


@pytest.mark.parametrize("name", factory.names())
async def test_no_server_at_the_address_is_unavailable(name: str, ask: Ask, unused_tcp_port: int, claude: Path) -> None:
    environ = {
        "ANTHROPIC_API_KEY": "k",
        "OPENAI_API_KEY": "k",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }
    address = f"http://127.0.0.1:{unused_tcp_port}"
    environ["AMELIA_CLAUDE"] = str(claude)
    driver = factory.create(name, base_url=address, environ=environ, patience=Patience(retries=1, first_wait=0.001))
    with pytest.raises(Unavailable, match="after 2 tries"):
        await hear(driver, ask("plain"))
    await driver.aclose()


@pytest.mark.parametrize("driver", CALLING, indirect=True)
async def test_a_call_that_got_no_result_is_refused(driver: Driver, ask: Ask) -> None:
    _, first = await hear(driver, ask("many"))
    with pytest.raises(Refused, match=r"call_1_1, call_1_2 has no result"):
        await hear(driver, ask("many", first.message, results(ToolResult(first.tool_calls[0].id, "text"))))


async def test_a_conversation_that_another_service_began_goes_on(driver: Driver, ask: Ask) -> None:
    """Its ids may be none of this one's."""
    first = Message("assistant", (ToolCall("functions.read_file:0/ü", "read_file", {"path": "x"}),))
    _, turn = await hear(driver, ask("one", first, results(ToolResult("functions.read_file:0/ü", "x = 1"))))
    assert turn.text == "It is done."


async def test_the_newest_requests_of_the_user_are_marked_for_the_cache(driver: Driver, ask: Ask, peer: Peer) -> None:
    """Three marks: the system prompt with the tools before it, and where this request and the one before end."""
    marks = {"api:anthropic": "cache_control", "api:bedrock": "cachePoint"}
    _, first = await hear(driver, ask("one"))
    await hear(driver, ask("one", first.message, results(ToolResult(first.tool_calls[0].id, "x = 1"))))
    bodies = [body for _, body in peer.asked()]
    mark = marks.get(driver.name, "cache")
    assert [str(body).count(f"'{mark}'") for body in bodies[-2:]] == ([2, 3] if driver.name in marks else [0, 0])


async def test_a_model_that_writes_a_call_shows_that_it_is_at_it(driver: Driver, ask: Ask) -> None:
    deltas, turn = await hear(driver, ask("many"))
    assert len(deltas) >= len(turn.tool_calls)
    assert "".join(deltas) == turn.text
