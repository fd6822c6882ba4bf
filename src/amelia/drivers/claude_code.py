"""Claude Code, the program: one run of ``claude -p`` for each turn, as a text model with tools that are spoken of."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Request, TextDelta, Turn, Usage
from amelia.drivers.connections import SILENCE_SECONDS
from amelia.drivers.guesses import guessed
from amelia.drivers.program import Program, Silent
from amelia.drivers.retries import Interrupted, Patience, retried
from amelia.drivers.spoken import Hearing, sections, system_prompt
from amelia.errors import Refused

FLAGS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    *("--include-partial-messages", "--max-turns", "1", "--no-session-persistence"),
    *("--tools", "", "--strict-mcp-config", "--disable-slash-commands", "--setting-sources", ""),
)
QUIET = {
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "NO_COLOR": "1",
}
INHERITED = ("HOME", "LANG", "LOGNAME", "NODE_EXTRA_CA_CERTS", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
BEGINNINGS = ("ANTHROPIC_", "CLAUDE_", "HTTP_PROXY", "HTTPS_PROXY", "LC_", "NO_PROXY", "SSL_CERT")
CLOUDS = {"CLAUDE_CODE_USE_BEDROCK": ("AWS_",), "CLAUDE_CODE_USE_VERTEX": ("CLOUD_ML_", "GOOGLE_", "VERTEX_")}
_UNKNOWN_FLAG = "unknown option"
_LOG_IN = "run claude and log in, or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
_CREDENTIALS = ("authentication", "invalid api key", "oauth", "/login", "credit balance")
_CUT = ("max_tokens", "model_context_window_exceeded")
_OWN_WORDS = "<synthetic>"
_HOPELESS = ("authentication_failed", "billing_error", "oauth_org_not_allowed")
_PASSING = ("overloaded", "rate limit", "timed out", "timeout", "connection", "internal server error")


class ClaudeCodeDriver:
    """Stateless like the others: each turn gets the whole conversation, and the program keeps nothing of it. It runs in
    an empty folder, without tools, settings, hooks, servers and memories of its own, and sees of the environment what
    it needs to reach its service."""

    name = "cli:claude"

    def __init__(
        self,
        *,
        program: str,
        environ: Mapping[str, str],
        patience: Patience | None = None,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._program = program
        self._environ = environment(environ)
        self._patience = patience or Patience()
        self._silence = silence

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        return retried("Claude Code", lambda assembly: self._attempt(request, assembly), self._patience)

    async def aclose(self) -> None:
        """Nothing is left open between turns."""

    async def _attempt(self, request: Request, assembly: Assembly) -> AsyncGenerator[TextDelta, None]:
        heard = _Heard()
        files = {"system.md": system_prompt(request)}
        model = ("--model", request.model) if request.model else ()
        argv = (self._program, *FLAGS, *model, "--system-prompt-file", "system.md")
        labelled = {
            "ANTHROPIC_CUSTOM_HEADERS": _headers(self._environ, request),
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(request.max_tokens),
        }
        async with Program(argv, env={**self._environ, **labelled}, files=files, stdin=_asked(request)) as program:
            try:
                async for line in program.lines(self._silence):
                    shown = heard.take(line)
                    if shown is not None:
                        yield TextDelta(shown)
                    if heard.result is not None:
                        break
            except Silent as error:
                raise Interrupted(str(error)) from error
            if heard.result is None:
                raise _broke_off(*await program.ended())
        assembly.usage = heard.usage
        if heard.failed:
            raise _meaning(heard)
        rest = heard.hearing.finish(assembly)
        if rest:
            yield TextDelta(rest)
        if assembly.usage == Usage():
            assembly.usage = guessed(request, assembly)
        assembly.stop = "max_tokens" if heard.cut else "end"


class _Heard:
    """What the program has said so far, in the lines of its ``stream-json``. An answer that was cut ends there: of
    itself the program would have the model go on with it, in messages that are no whole answers."""

    def __init__(self) -> None:
        self.hearing = Hearing()
        self.usage = Usage()
        self.cut = False
        self.result: dict[str, Any] | None = None
        self.resets_at: float | None = None
        self._counted: dict[str, Any] = {}
        self._in_pieces = False
        self._spoken = False

    @property
    def failed(self) -> bool:
        """A run that may not take a second turn says that as an error, too."""
        assert self.result is not None
        if self.cut and self._spoken:
            return False
        return bool(self.result.get("is_error")) and not (
            self.result.get("subtype") == "error_max_turns" and self._spoken
        )

    def take(self, line: bytes) -> str | None:
        """The text to show, "" for another sign of life, None for what is neither. Lines that are no JSON object are
        debugging output."""
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            return None
        match said.get("type"):
            case "stream_event":
                return self._event(said.get("event") or {})
            case "assistant" if not self._in_pieces:
                message = said.get("message") or {}
                if message.get("model") == _OWN_WORDS:
                    return None
                blocks = message.get("content") or ()
                return self._hear("".join(block["text"] for block in blocks if block.get("type") == "text"))
            case "system" if said.get("subtype") == "api_retry":
                if said.get("error_status") in (401, 403) or said.get("error") in _HOPELESS:
                    self.result = {"is_error": True, "api_error_status": 401, "result": said.get("error")}
                return ""
            case "rate_limit_event":
                told = said.get("rate_limit_info") or {}
                self.resets_at = told.get("resetsAt") if told.get("status") == "rejected" else self.resets_at
            case "result":
                self.result, self.usage = said, _usage(said.get("usage") or {})
                self.cut |= "output token maximum" in str(said.get("result"))
        return None

    def _event(self, event: dict[str, Any]) -> str | None:
        delta = event.get("delta") or {}
        match event.get("type"), delta.get("type"):
            case "message_start", _:
                self._in_pieces, self.hearing = True, Hearing()
                self._counted = (event.get("message") or {}).get("usage") or {}
            case "content_block_delta", "text_delta":
                return self._hear(delta["text"])
            case "content_block_delta", _:
                return ""
            case "message_delta", _:
                self.cut = delta.get("stop_reason") in _CUT
                self._counted |= {name: n for name, n in (event.get("usage") or {}).items() if n is not None}
            case "message_stop", _ if self.cut:
                self.result, self.usage = {}, _usage(self._counted)
        return None

    def _hear(self, text: str) -> str:
        self._spoken |= bool(text)
        return self.hearing.hear(text)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the program gets of ``environ``: where it finds itself, its account and its service."""
    beginnings = [*BEGINNINGS, *(cloud for use, clouds in CLOUDS.items() if environ.get(use) for cloud in clouds)]
    return {k: v for k, v in environ.items() if k in INHERITED or k.upper().startswith(tuple(beginnings))} | QUIET


def _headers(environ: Mapping[str, str], request: Request) -> str:
    own = environ.get("ANTHROPIC_CUSTOM_HEADERS", "")
    return "\n".join(filter(None, (own, f"X-Client-Request-Id: {request.label.encode()}")))


def _asked(request: Request) -> bytes:
    blocks = [{"type": "text", "text": text} for text in sections(request)]
    message = {"type": "user", "message": {"role": "user", "content": blocks}, "parent_tool_use_id": None}
    return msgspec.json.encode({**message, "session_id": ""}) + b"\n"


def _usage(told: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=told.get("input_tokens") or 0,
        output_tokens=told.get("output_tokens") or 0,
        cache_read_tokens=told.get("cache_read_input_tokens") or 0,
        cache_write_tokens=told.get("cache_creation_input_tokens") or 0,
    )


def _meaning(heard: _Heard) -> Exception:
    assert heard.result is not None
    status, said = heard.result.get("api_error_status"), _words(heard.result)
    low = said.lower()
    if status in (401, 403) or any(word in low for word in _CREDENTIALS):
        return Refused(f"Claude Code has no valid login ({said}); {_LOG_IN}")
    if heard.resets_at is not None:
        return Interrupted(f"the limit of the account is reached: {said}", max(0.0, heard.resets_at - time.time()))
    passing = any(word in low for word in _PASSING)
    if isinstance(status, int):
        passing = status in (408, 409, 429) or status >= 500
    if passing:
        return Interrupted(f"{status or 'error'}: {said}")
    return Refused(f"Claude Code refused the request ({said}); change the model or the request")


def _words(result: dict[str, Any]) -> str:
    said = result.get("result") or "; ".join(map(str, result.get("errors") or ())) or result.get("subtype")
    return str(said or "it does not say why")[:1_000]


def _broke_off(code: int | None, errors: str) -> Exception:
    """Without a result: it does not know what it was asked for, or died."""
    if _UNKNOWN_FLAG in errors:
        return Refused(f"this version of Claude Code is too old ({errors.strip()}); update it: claude update")
    return Interrupted(f"the program ended with {code} and without a result: {errors.strip()[-500:] or 'no message'}")
