"""How a failed and an empty result are said to each service; the replay server does not read their content.

The services' kits are imported where they are used: whoever collects the tests needs none of them."""

import pytest

from amelia.drivers.base import Label, Message, Part, Request, Text, ToolCall, ToolResult

ANSWER = Message("user", (Text("and go on"), ToolResult("c1", "gone", is_error=True), ToolResult("c2", "")))


def test_anthropic_gets_results_first_with_their_failure_and_a_cache_mark_on_the_last_block() -> None:
    from amelia.drivers import anthropic

    (message,) = anthropic._messages((ANSWER,))
    assert message["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "gone", "is_error": True},
        {"type": "tool_result", "tool_use_id": "c2", "content": "", "is_error": False},
        {"type": "text", "text": "and go on", "cache_control": {"type": "ephemeral"}},
    ]


def test_bedrock_gets_results_first_with_their_status_and_never_a_blank_text() -> None:
    from amelia.drivers import bedrock

    (message,) = bedrock._messages((ANSWER,), cached=True)
    assert message["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "gone"}], "status": "error"}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "(no output)"}], "status": "success"}},
        {"text": "and go on"},
        {"cachePoint": {"type": "default"}},
    ]


def test_bedrock_gets_neighbours_of_one_role_as_one_message() -> None:
    from amelia.drivers import bedrock

    messages = (Message("user", (Text("a"),)), Message("user", (Text("b"),)), Message("assistant", (Text("c"),)))
    assert [message["role"] for message in bedrock._messages(messages, cached=False)] == ["user", "assistant"]


def test_openai_gets_a_message_for_each_result_and_the_failure_in_words() -> None:
    from amelia.drivers import openai

    calls: tuple[Part, ...] = (ToolCall("c1", "read_file", {"path": "a"}), ToolCall("c2", "list_files", {}))
    request = Request(
        model="m",
        system="",
        messages=(Message("assistant", calls), ANSWER),
        label=Label(workflow_id="w", issue="i", agent="a"),
    )
    called, *answered = openai._messages(request, None)
    assert [call["function"]["arguments"] for call in called["tool_calls"]] == ['{"path":"a"}', "{}"]
    assert answered == [
        {"role": "tool", "tool_call_id": "c1", "content": "Error: gone"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "and go on"},
    ]


@pytest.mark.parametrize(
    ("model", "knows"),
    [
        ("amazon.nova-pro-v1:0", True),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", True),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", True),
        ("global.anthropic.claude-sonnet-4-6", True),
        ("anthropic.claude-3-sonnet-20240229-v1:0", False),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", False),
        ("meta.llama4-maverick-17b-instruct-v1:0", False),
    ],
)
def test_bedrock_models_that_may_not_know_cache_points_get_none(model: str, knows: bool) -> None:
    from amelia.drivers import bedrock

    driver = bedrock.BedrockDriver(region="us-east-1", credentials=bedrock.Credentials())
    label = Label(workflow_id="w", issue="i", agent="a")
    messages = (Message("user", (Text("hello"),)),)
    body = driver._body(Request(model=model, system="s", messages=messages, label=label))
    assert ("cachePoint" in str(body)) == knows
