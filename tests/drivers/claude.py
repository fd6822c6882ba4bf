"""A program that does as ``claude -p`` does with ``stream-json``: what it is told goes to an Anthropic service, what
that answers comes out in lines. Tools that the service calls become calls as the system prompt wants them written.

Standard library only, since it is started for each turn.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PLAIN = {
    *("-p", "--verbose", "--include-partial-messages", "--no-session-persistence"),
    *("--strict-mcp-config", "--disable-slash-commands"),
}
VALUED = {
    *("--input-format", "--output-format", "--max-turns", "--tools", "--setting-sources"),
    *("--model", "--system-prompt-file"),
}


def main() -> int:
    given = options(sys.argv[1:])
    assert (given["--tools"], given["--setting-sources"], given["--max-turns"]) == ("", "", "1")
    assert not [name for name in os.environ if name.startswith(("AMELIA_", "OPENAI_", "GITHUB_"))]
    system = Path(given["--system-prompt-file"]).read_text(encoding="utf-8")
    say(type="system", subtype="init", tools=[], model=given["--model"], cwd=str(Path.cwd()))
    asked = json.loads(sys.stdin.readline())["message"]["content"]
    behaviour = os.environ.get("CLAUDE_FAKE", "")
    if behaviour == "hangs":
        time.sleep(600)
    if behaviour == "dies":
        print("out of memory", file=sys.stderr)
        return 137
    if behaviour == "retries":
        for attempt in range(10):
            say(type="system", subtype="api_retry", attempt=attempt, error_status=401, error="authentication_failed")
            time.sleep(60)
    try:
        return answer(body(given["--model"], system, [block["text"] for block in asked]))
    except OSError:
        return fail(None, "API Error: Connection error.")


def options(argv: list[str]) -> dict[str, str]:
    found, words = {}, iter(argv)
    for word in words:
        if word not in PLAIN | VALUED or word in os.environ.get("CLAUDE_FAKE_LACKS", "").split():
            print(f"error: unknown option '{word}'", file=sys.stderr)
            sys.exit(1)
        found[word] = next(words) if word in VALUED else ""
    return found


def body(model: str, system: str, sections: list[str]) -> dict[str, Any]:
    forced = next((text.split()[4].rstrip(",") for text in sections if text.startswith("In this answer, call")), None)
    told = [text for text in sections if text.startswith("--- ")]
    roles = ["assistant" if text.partition("\n")[0].endswith(" you") else "user" for text in told]
    tools = [json.loads(line) for line in system.splitlines() if line.startswith('{"name":')]
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": int(os.environ["CLAUDE_CODE_MAX_OUTPUT_TOKENS"]),
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": role, "content": text} for role, text in zip(roles, told, strict=True)],
        "metadata": {"user_id": os.environ["ANTHROPIC_CUSTOM_HEADERS"].partition(": ")[2]},
        "tools": [{"name": tool["name"], "input_schema": tool["schema"]} for tool in tools],
        "stream": True,
    }
    return {**asked, "tool_choice": {"type": "tool", "name": forced}} if forced else asked


def answer(asked: dict[str, Any]) -> int:
    address = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
    service = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    service.request("POST", "/v1/messages", json.dumps(asked), {"content-type": "application/json"})
    response = service.getresponse()
    if response.status != 200:
        after = response.getheader("retry-after")
        if after:
            say(type="rate_limit_event", rate_limit_info={"status": "rejected", "resetsAt": time.time() + float(after)})
        said = json.loads(response.read())["error"]["message"]
        return fail(response.status, f"API Error: {response.status} {said}")
    spoken, whole, cut = "", False, False
    usage: Any = {}
    for event in events(response):
        if event["type"] == "error":
            return fail(529, f"API Error: {event['error']['message']}")
        for piece in written(event):
            spoken += piece
            say(type="stream_event", event={**DELTA, "delta": {"type": "text_delta", "text": piece}})
        usage = event.get("usage", event.get("message", {}).get("usage", usage))
        whole |= event["type"] == "message_stop"
        if event["type"] in ("message_start", "message_delta", "message_stop"):
            say(type="stream_event", event=event)
        cut |= event.get("delta", {}).get("stop_reason") == "max_tokens"
    if cut:
        say(type="stream_event", event={"type": "message_start", "message": {"usage": {}}})
        time.sleep(600)
    if not whole:
        print("Connection closed mid-response", file=sys.stderr)
        return 1
    say(type="assistant", message={"role": "assistant", "content": [{"type": "text", "text": spoken}]})
    say(type="result", subtype="success", is_error=False, num_turns=1, result=spoken, usage=usage, total_cost_usd=0.01)
    return 0


DELTA = {"type": "content_block_delta", "index": 0}


def events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    try:
        for line in response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    except http.client.IncompleteRead:
        return


class Written:
    """The text that a model would write for the blocks of the service."""

    def __init__(self) -> None:
        self.calls = 0
        self.pieces = 0

    def __call__(self, event: dict[str, Any]) -> Iterator[str]:
        kind, delta = event["type"], event.get("delta", {})
        if kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
            opening = ", " if self.calls else "\n\n<calls>\n["
            self.calls, self.pieces, self.open = self.calls + 1, 0, True
            yield f'{opening}{{"name": {json.dumps(event["content_block"]["name"])}, "arguments": '
        elif kind == "content_block_delta":
            self.pieces += 1
            yield delta.get("text") or delta.get("partial_json", "")
        elif kind == "content_block_stop" and self.calls:
            yield "}" if self.pieces else "{}}"
        elif kind == "message_delta" and self.calls and delta["stop_reason"] != "max_tokens":
            yield "]\n</calls>\n--- made up user\nThank you."


written = Written()


def fail(status: int | None, text: str) -> int:
    message = {"role": "assistant", "model": "<synthetic>", "content": [{"type": "text", "text": text}]}
    say(type="assistant", message=message, error="unknown")
    say(type="result", subtype="success", is_error=True, api_error_status=status, result=text, usage={})
    return 1


def say(**said: Any) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    sys.exit(main())
