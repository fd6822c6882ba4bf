import http.client
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ARN, Server, alive, invoke, new_session, wait_until


def test_an_arn_with_its_slash_encoded_reaches_the_runtime(server: Server, client: Any) -> None:
    session = new_session()
    answer = client.invoke_agent_runtime(
        agentRuntimeArn=ARN, runtimeSessionId=session, qualifier="DEFAULT", payload=b"{}"
    )
    assert answer["runtimeSessionId"] == session
    assert answer["contentType"] == "application/json"
    assert json.loads(answer["response"].read())["session"] == session


def test_a_session_keeps_its_process(client: Any) -> None:
    session = new_session()
    first, second = invoke(client, session), invoke(client, session)
    assert first["pid"] == second["pid"]
    assert (first["calls"], second["calls"]) == (1, 2)


def test_sessions_share_nothing_but_what_was_imported(client: Any) -> None:
    first, second = invoke(client, new_session()), invoke(client, new_session())
    assert first["pid"] != second["pid"]
    assert second["calls"] == 1


def test_a_call_without_a_session_gets_a_new_one(server: Server) -> None:
    path = "/runtimes/" + ARN.replace(":", "%3A").replace("/", "%2F") + "/invocations"
    status, headers, answer = server.request("POST", path, {})
    assert status == 200
    assert headers["x-amzn-bedrock-agentcore-runtime-session-id"] == answer["session"]
    assert len(answer["session"]) >= 33


@pytest.mark.parametrize("session", ["too-short", "x" * 257])
def test_a_session_id_of_a_wrong_length_is_refused(server: Server, session: str) -> None:
    client = server.client(parameter_validation=False)
    with pytest.raises(client.exceptions.ValidationException, match="33 to 256"):
        invoke(client, session)


def test_an_arn_that_names_no_runtime_is_refused(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationException):
        client.invoke_agent_runtime(agentRuntimeArn="arn:aws:s3:::bucket", payload=b"{}")


def test_trace_and_user_reach_the_runtime_and_the_signature_does_not(client: Any) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = client.invoke_agent_runtime(
        agentRuntimeArn=ARN,
        runtimeSessionId=new_session(),
        runtimeUserId="ada",
        traceParent=traceparent,
        traceState="a=b",
        baggage="c=d",
        payload=b'{"do": "headers"}',
    )
    seen = json.loads(answer["response"].read())
    assert (seen["traceparent"], seen["tracestate"], seen["baggage"]) == (traceparent, "a=b", "c=d")
    assert seen["x-amzn-bedrock-agentcore-runtime-user-id"] == "ada"
    assert seen["workloadaccesstoken"]
    assert "authorization" not in seen


def test_a_stream_of_events_is_passed_on(client: Any) -> None:
    answer = client.invoke_agent_runtime(
        agentRuntimeArn=ARN, runtimeSessionId=new_session(), payload=b'{"do": "stream", "count": 3}'
    )
    assert answer["contentType"].startswith("text/event-stream")
    lines = [line.decode() for line in answer["response"].iter_lines() if line]
    assert lines == [f'data: {{"number": {number}}}' for number in range(3)]


@pytest.mark.parametrize("status", [400, 500])
def test_an_error_of_the_runtime_is_a_runtime_client_error(client: Any, status: int) -> None:
    with pytest.raises(client.exceptions.RuntimeClientError, match=str(status)) as caught:
        invoke(client, new_session(), do="fail", status=status)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_runtime_that_dies_while_asked_is_a_runtime_client_error_and_then_fresh(client: Any) -> None:
    session = new_session()
    with pytest.raises(client.exceptions.RuntimeClientError):
        invoke(client, session, do="die")
    assert invoke(client, session)["calls"] == 1


def test_a_killed_session_gets_a_fresh_process(server: Server, client: Any) -> None:
    session = new_session()
    first = invoke(client, session)
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: session not in server.sessions())
    second = invoke(client, session)
    assert second["pid"] != first["pid"]
    assert second["calls"] == 1


def test_first_calls_of_one_session_at_once_start_one_process(client: Any) -> None:
    session = new_session()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: invoke(client, session), range(8)))
    assert len({answer["pid"] for answer in answers}) == 1


def test_a_session_has_a_directory_of_its_own_that_goes_with_it(server: Server, client: Any) -> None:
    session = new_session()
    seen = invoke(client, session, do="environment")
    assert seen["cwd"] == seen["env"]["HOME"] != str(Path.home())
    assert not any(session in value for name, value in seen["env"].items() if name not in _PATHS)
    client.stop_runtime_session(agentRuntimeArn=ARN, runtimeSessionId=session)
    wait_until(lambda: not Path(seen["cwd"]).exists())


_PATHS = {"HOME", "PWD", "TMPDIR"}


def test_what_a_session_started_ends_with_it(server: Server, client: Any) -> None:
    session = new_session()
    seen = invoke(client, session, do="spawn")
    assert alive(seen["child"])
    os.kill(seen["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(seen["child"]))


def test_a_stopped_session_ends_and_starts_afresh(server: Server, client: Any) -> None:
    session = new_session()
    first = invoke(client, session)
    client.stop_runtime_session(agentRuntimeArn=ARN, runtimeSessionId=session)
    wait_until(lambda: not alive(first["pid"]))
    wait_until(lambda: session not in server.sessions())
    assert invoke(client, session)["pid"] != first["pid"]


def test_stopping_an_unknown_session_is_not_found(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.stop_runtime_session(agentRuntimeArn=ARN, runtimeSessionId=new_session())


def test_a_call_to_a_stopping_session_is_a_conflict_and_its_grace_is_bounded(server: Server, client: Any) -> None:
    session = new_session()
    pid = invoke(client, session)["pid"]
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(invoke, client, session, do="sleep", seconds=60)
        wait_until(lambda: server.sessions()[session]["in_flight"])
        client.stop_runtime_session(agentRuntimeArn=ARN, runtimeSessionId=session)
        with pytest.raises(ClientError) as caught:
            invoke(client, session)
        assert caught.value.response["Error"]["Code"] == "RetryableConflictException"
        with pytest.raises(client.exceptions.RuntimeClientError):
            hanging.result()
    wait_until(lambda: not alive(pid))


def test_an_idle_session_is_reaped_and_a_busy_one_is_not(servers: Callable[..., Server]) -> None:
    server = servers(app="sample_runtime:app", idle_timeout=0.6)
    client = server.client()
    busy, idle = new_session(), new_session()
    worker = invoke(client, busy, do="busy")["pid"]
    sleeper = invoke(client, idle)["pid"]
    wait_until(lambda: idle not in server.sessions())
    assert not alive(sleeper)
    wait_until(lambda: server.sessions()[busy]["status"] == "HealthyBusy")
    again = invoke(client, idle)["pid"]
    wait_until(lambda: not alive(again))
    assert again != sleeper
    assert alive(worker)
    invoke(client, busy, do="finish")
    wait_until(lambda: not alive(worker))


def test_busy_without_a_time_of_last_update_is_reaped(servers: Callable[..., Server]) -> None:
    server = servers(app="timeless_runtime:app", idle_timeout=0.5)
    answer = server.client().invoke_agent_runtime(agentRuntimeArn=ARN, payload=b"{}")
    pid = json.loads(answer["response"].read())["pid"]
    wait_until(lambda: not alive(pid))


def test_a_busy_session_ends_at_its_maximum_lifetime(servers: Callable[..., Server]) -> None:
    server = servers(app="sample_runtime:app", max_lifetime=0.8)
    session = new_session()
    client = server.client()
    first = invoke(client, session, do="busy")["pid"]
    wait_until(lambda: not alive(first))
    wait_until(lambda: session not in server.sessions())
    assert invoke(client, session)["calls"] == 1


def test_a_killed_zygote_is_replaced_and_its_sessions_live_on(servers: Callable[..., Server]) -> None:
    server = servers(app="sample_runtime:app")
    client = server.client()
    session = new_session()
    first = invoke(client, session)["pid"]
    zygote = server.request("GET", "/_health")[2]["zygote"]
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: not alive(zygote))
    assert invoke(client, new_session())["calls"] == 1
    assert invoke(client, session) == {"pid": first, "calls": 2, "session": session}
    assert server.request("GET", "/_health")[2]["zygote"] != zygote


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(servers: Callable[..., Server], number: signal.Signals) -> None:
    server = servers(app="sample_runtime:app")
    client = server.client()
    pids = [server.request("GET", "/_health")[2]["zygote"]]
    for _ in range(2):
        pids += invoke(client, new_session(), do="spawn").values()
    assert all(alive(pid) for pid in pids)
    status = server.end(number)
    assert status == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_new_sessions_are_throttled(servers: Callable[..., Server]) -> None:
    server = servers(app="sample_runtime:app", limits={"new_sessions_per_second": 0.01})
    client = server.client()
    session = new_session()
    invoke(client, session)
    with pytest.raises(client.exceptions.ThrottlingException):
        invoke(client, new_session())
    assert invoke(client, session)["calls"] == 2


def test_without_an_app_there_is_no_runtime(servers: Callable[..., Server]) -> None:
    client = servers().client()
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="--app"):
        invoke(client, new_session())


def test_browsers_are_not_served(server: Server) -> None:
    status, headers, _ = server.request("GET", "/_sessions", headers={"Origin": "https://example.org"})
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


def test_a_caller_who_hangs_up_leaves_the_session_usable(server: Server, client: Any) -> None:
    session = new_session()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    path = "/runtimes/" + ARN.replace("/", "%2F") + "/invocations"
    body = json.dumps({"do": "stream", "count": 1_000_000})
    headers = {"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": session}
    connection.request("POST", path, body, headers)
    assert connection.getresponse().read(10)
    connection.close()
    wait_until(lambda: server.sessions()[session]["in_flight"] == 0)
    assert invoke(client, session)["calls"] == 2


def test_headers_beyond_ascii_are_passed_on(server: Server) -> None:
    path = "/runtimes/" + ARN.replace("/", "%2F") + "/invocations"
    name = "X-Amzn-Bedrock-AgentCore-Runtime-Custom-Name"
    status, _, seen = server.request("POST", path, {"do": "headers"}, {name: "Zoë"})
    assert (status, seen[name.lower()]) == (200, "Zoë")
