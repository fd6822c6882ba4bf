"""The checks of request bodies find what they are for."""

from typing import Any

import pytest

from .published import objections

USER: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
ANTHROPIC: dict[str, Any] = {"model": "m", "max_tokens": 1, "stream": True, "messages": [USER]}
OPENAI: dict[str, Any] = {"model": "m", "stream": True, "messages": [USER]}
BEDROCK: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
PATHS = {"/v1/messages": ANTHROPIC, "/v1/chat/completions": OPENAI, "/model/a.b-v1%3A0/converse-stream": BEDROCK}


@pytest.mark.parametrize("path", PATHS)
def test_a_plain_request_is_one(path: str) -> None:
    assert objections(path, PATHS[path]) == []


@pytest.mark.parametrize("path", PATHS)
def test_a_field_that_nobody_knows_is_found(path: str) -> None:
    assert "temprature" in str(objections(path, {**PATHS[path], "temprature": 1}))


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/v1/messages", {"max_tokens": "many"}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
        ("/v1/messages", {"messages": [{**USER, "content": [{"type": "text", "text": "x", "cache": True}]}]}),
        ("/v1/messages", {"tool_choice": {"type": "named", "name": "x"}}),
        ("/v1/chat/completions", {"messages": [{"role": "tool", "content": "x"}]}),
        ("/v1/chat/completions", {"tools": [{"type": "function"}]}),
        ("/v1/chat/completions", {"reasoning_effort": "huge"}),
        ("/model/m/converse-stream", {"requestMetadata": {"amelia": "a&b"}}),
        ("/model/m/converse-stream", {"toolConfig": {"tools": [{"toolSpec": {"name": "a.b"}}]}}),
        ("/model/m/converse-stream", {"messages": [{"role": "nobody", "content": [{"text": "x"}]}]}),
        ("/model/m/converse-stream", {"system": [{"cachePoint": {"type": "forever"}}]}),
    ],
)
def test_what_a_service_would_refuse_is_found(path: str, change: dict[str, Any]) -> None:
    assert objections(path, {**PATHS.get(path, BEDROCK), **change})
