"""The server over HTTP, as any program would use it."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from amelia.drivers.base import Label
from amelia_replay.__main__ import main

Serve = Callable[..., httpx2.Client]
TWO_TURNS = """\
    version: 1
    conversations:
      - agent: developer
        task: fix-rounding
        turns: [{say: one, call: {read_file: {path: a}}}, {say: two}]
      - agent: developer
        task: fix-*
        turns: [{say: any fix}]
      - agent: developer
        task: fix-rounding
        round: 2
        turns: [{say: second round}]
      - agent: reviewer
        repeat: true
        turns: [{say: reviewed}]
    """
READ = [{"name": "read_file", "input_schema": {"type": "object"}}]
CALLED = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "read_file", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]},
]


def label(agent: str, task: str = "", number: int = 1, issue: str = "GH-7", workflow: str = "wf-1") -> str:
    return Label(workflow_id=workflow, issue=issue, agent=agent, task=task, round=number).encode()


def ask(client: httpx2.Client, user: str, *later: Any, tools: Any = READ, **more: Any) -> httpx2.Response:
    body = {
        "model": "m",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "go"}, *later],
        "tools": tools,
        "metadata": {"user_id": user},
    }
    return client.post("/v1/messages", json=body | more)


def text(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return "".join(block.get("text", "") for block in response.json()["content"])


def refusal(response: httpx2.Response) -> str:
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    return str(error["message"])


def test_the_label_chooses_the_conversation_and_the_messages_the_turn(serve: Serve) -> None:
    client = serve(sample=TWO_TURNS)
    assert text(ask(client, label("developer", "fix-rounding"))) == "one"
    assert text(ask(client, label("developer", "fix-rounding"), *CALLED)) == "two"
    assert text(ask(client, label("developer", "fix-typo"))) == "any fix"
    assert text(ask(client, label("developer", "fix-rounding", 2))) == "second round"
    assert text(ask(client, label("reviewer", number=3))) == "reviewed"


def test_a_restarted_server_goes_on_where_the_conversation_was(serve: Serve) -> None:
    first = serve(sample=TWO_TURNS)
    assert text(ask(first, label("developer", "fix-rounding"))) == "one"
    second = serve(sample=TWO_TURNS)
    assert text(ask(second, label("developer", "fix-rounding"), *CALLED)) == "two"


def test_a_mismatch_names_file_conversation_and_turn(serve: Serve) -> None:
    client = serve(sample=TWO_TURNS)
    said = {"role": "assistant", "content": "two"}
    more = {"role": "user", "content": "more"}
    assert refusal(ask(client, label("developer", "fix-rounding"), *CALLED, said, more)) == (
        "sample.yaml has no answer for developer, task fix-rounding, round 1, turn 3 (it has 2)"
    )
    assert refusal(ask(client, label("developer", "other"))).startswith(
        "sample.yaml has no conversation for developer, task other, round 1, issue GH-7, only for developer, task"
    )
    assert refusal(ask(client, label("developer", "fix-rounding"), tools=[])) == (
        "sample.yaml, line 5: developer, task fix-rounding, round 1, turn 1 calls read_file,"
        " which the request does not offer (it offers none)"
    )
    forced = {"tool_choice": {"type": "tool", "name": "submit_review"}}
    assert "the request wants a call of submit_review" in refusal(ask(client, label("reviewer"), **forced))


def test_an_issue_that_no_conversation_is_for_is_told_those_they_are_for(serve: Serve) -> None:
    client = serve(
        one="version: 1\nissue: SHOP-*\nconversations: [{agent: architect, turns: [{say: hello}]}]",
        other="""\
        version: 1
        conversations: [{agent: reviewer, issue: GH-1, turns: [{say: hello}]}, {agent: summary, turns: [{say: so}]}]
        """,
    )
    assert refusal(ask(client, label("architect"))) == (
        "one.yaml, other.yaml has no conversation for architect, round 1, issue GH-7, only for"
        " architect, round 1, issue SHOP-*; reviewer, round 1, issue GH-1; summary, round 1"
    )


def test_a_request_without_a_label_is_told_what_is_missing(serve: Serve) -> None:
    client = serve(sample=TWO_TURNS)
    assert "carries no label and sample.yaml has 4 conversations" in refusal(ask(client, "somebody"))


def test_a_request_without_a_label_gets_the_only_conversation(serve: Serve) -> None:
    client = serve(only="version: 1\nconversations: [{agent: summary, turns: [{say: hello}]}]")
    assert text(ask(client, "somebody")) == "hello"


def test_the_file_written_for_the_issue_wins(serve: Serve) -> None:
    client = serve(
        general="version: 1\nconversations: [{agent: summary, turns: [{say: general}]}]",
        special="version: 1\nissue: GH-7*\nconversations: [{agent: summary, turns: [{say: special}]}]",
    )
    assert text(ask(client, label("summary", issue="GH-70"))) == "special"
    assert text(ask(client, label("summary", issue="GH-8"))) == "general"


def test_every_workflow_meets_the_injected_errors_for_itself(serve: Serve) -> None:
    client = serve(
        faulty="""\
        version: 1
        conversations:
          - agent: summary
            turns: [{say: hello, errors: [{status: 429, retry_after: 0.5, message: slow down}]}]
        """
    )
    for workflow in ("wf-1", "wf-2"):
        busy = ask(client, label("summary", workflow=workflow))
        assert (busy.status_code, busy.headers["retry-after"]) == (429, "0.5")
        assert busy.json()["error"] == {"type": "rate_limit_error", "message": "slow down"}
        assert text(ask(client, label("summary", workflow=workflow))) == "hello"


def test_a_cut_answer_breaks_the_connection_streamed_or_not(serve: Serve) -> None:
    client = serve(
        faulty="""\
        version: 1
        conversations:
          - agent: summary
            turns: [{say: one two three four five six seven, errors: [{cut: 15, times: 2}]}]
        """
    )
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(client, label("summary"))
    received = ""
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        client.stream("POST", "/v1/messages", json=_body(label("summary"), stream=True)) as response,
    ):
        for piece in response.iter_text():
            received += piece
    assert "one two three" in received
    assert "four" not in received
    assert text(ask(client, label("summary"))) == "one two three four five six seven"


def _body(user: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "go"}], "metadata": {"user_id": user}} | more


def test_usage_is_as_given_or_else_a_token_for_four_characters(serve: Serve) -> None:
    client = serve(
        counted="""\
        version: 1
        conversations:
          - agent: summary
            turns: [{say: 0123456789ab, usage: {input_tokens: 7, cache_read_tokens: 9}}]
        """
    )
    usage = ask(client, label("summary")).json()["usage"]
    expected = {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": 9}
    assert usage == expected | {"cache_creation_input_tokens": 0}


def test_the_services_whole_answers_have_their_own_shapes(serve: Serve) -> None:
    client = serve(
        whole="version: 1\nconversations: [{agent: summary, turns: [{say: hello, call: {read_file: {path: x}}}]}]"
    )
    tools = [{"type": "function", "function": {"name": "read_file"}}]
    messages = [{"role": "user", "content": "go"}]
    chat = {"model": "m", "messages": messages, "tools": tools, "user": label("summary")}
    for path in ("/v1/chat/completions", "/chat/completions"):
        (choice,) = client.post(path, json=chat).json()["choices"]
        assert choice["message"]["content"] == "hello"
        assert choice["message"]["tool_calls"][0]["function"] == {
            "name": "read_file",
            "arguments": '{"path":"x"}',
        }
    converse = {
        "messages": [{"role": "user", "content": [{"text": "go"}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "read_file", "inputSchema": {"json": {}}}}]},
        "requestMetadata": {"amelia": label("summary").replace("&", ",")},
    }
    answer = client.post("/model/arn%3Aaws%2Fx/converse", json=converse).json()
    assert answer["output"]["message"]["content"][1]["toolUse"]["input"] == {"path": "x"}
    assert answer["stopReason"] == "tool_use"


def test_what_is_no_request_is_refused(serve: Serve) -> None:
    client = serve(sample=TWO_TURNS)
    bodies: list[bytes] = [b"", b"[]", b"{", b'{"messages": 3}', b'{"messages": [3]}', b'{"messages": [{}]}']
    for path in ("/v1/messages", "/v1/chat/completions", "/model/m/converse"):
        for body in bodies:
            assert client.post(path, content=body).status_code == 400, (path, body)


def test_the_last_requests_can_be_looked_at(serve: Serve) -> None:
    client = serve(sample=TWO_TURNS)
    ask(client, label("reviewer"))
    ask(client, label("nobody"))
    assert client.get("/_health").json() == {"status": "ok", "conversations": ["sample.yaml"]}
    first, second = client.get("/_requests").json()["requests"]
    assert (first["label"]["agent"], first["turn"], first["status"]) == ("reviewer", 1, 200)
    assert (second["status"], "no conversation for nobody" in second["message"]) == (400, True)


def test_ctrl_c_ends_the_server_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "only.yaml"
    path.write_text("version: 1\nconversations: [{agent: summary, turns: [{say: hello}]}]")
    command = [sys.executable, "-m", "amelia_replay", "--port", "0", "--conversation", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("amelia-replay listens on http://127.0.0.1:")
        server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=20)[1] == ""
        assert server.returncode == 0


def test_a_port_already_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "only.yaml"
    path.write_text("version: 1\nconversations: [{agent: summary, turns: [{say: hello}]}]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--conversation", str(path), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
