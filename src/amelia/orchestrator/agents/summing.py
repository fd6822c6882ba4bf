"""When a conversation is about to fill what its model can read: the model writes down what it needs, and goes on."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from ...drivers.base import Label, Message, Text, ToolCall, ToolResult, Turn
from ...errors import Refused
from ...tools.toolbox import one_line, shorten
from .transcript import Summary, Transcript
from .trim import covered, shown, size

SUMMARY = "summary"
"""The agent of the conversation in which summaries are written."""
LONGEST = 24_000
MOST_CALLS = 80
_TOO_LONG = re.compile(
    r"(?:prompt|input) is too long|context.?(?:length|window|size)|maximum context|token count exceeds"
    r"|too many input tokens",
    re.IGNORECASE,
)
_ASK = (
    "\n\n(This conversation has become too long to be kept whole. Before you go on, write down for yourself what you "
    "need to finish the work without it: what you have found out, with files and lines; what you have decided and why; "
    "what you have changed so far; what you have tried that did not work, with the errors; what people asked for; and "
    "what is still to be done, in order. At most 1,500 words of plain text. Call no tool now.)"
)

log = logging.getLogger(__name__)

Ask = Callable[[Label, tuple[Message, ...]], Awaitable[Turn]]


def is_due(said: Transcript, most: int) -> bool:
    """Whether leaving out old output is not enough any more: half as much again as ``most`` characters would be sent,
    which is three quarters of what the model can read; and there is something that a summary could stand for."""
    if sum(map(size, shown(said, most))) * 2 <= most * 3:
        return False
    before = said.summaries[-1].upto if said.summaries else 1
    return covered(said.messages, most) > before + 1


async def summarised(said: Transcript, most: int, label: Label, ask: Ask) -> Transcript:
    """With a summary of all but the newest turns. A model that writes none is done without. Raises ``Unavailable``."""
    number = len(said.summaries) + 1
    whose = "-".join(filter(None, (label.agent, label.task)))
    asked = msgspec.structs.replace(label, agent=SUMMARY, task=whose, turn=number)
    *before, last = shown(said, most)
    upto = covered(said.messages, most)
    try:
        turn = await ask(asked, (*before, Message(last.role, (*last.parts, Text(_ASK)))))
        text, usage = turn.text.strip(), said.usage + turn.usage
    except Refused as error:
        log.warning("the summary is made without the model: %s", error)
        text, usage = "", said.usage
    text = shorten(text or digest(said.messages[:upto]), LONGEST)
    summary = Summary(upto=upto, turn=said.turns, text=text)
    return msgspec.structs.replace(said, usage=usage, summaries=(*said.summaries, summary))


def digest(messages: Sequence[Message]) -> str:
    """What was called, and in a line what came of it."""
    results = {part.call_id: part for m in messages for part in m.parts if isinstance(part, ToolResult)}
    calls = [part for m in messages for part in m.parts if isinstance(part, ToolCall)]
    lines = [_line(call, results.get(call.id)) for call in calls[-MOST_CALLS:]]
    earlier = [f"({len(calls) - MOST_CALLS} calls before these)"] if len(calls) > MOST_CALLS else []
    return "\n".join(["What you have called so far, and what came of it:", *earlier, *lines])


def _line(call: ToolCall, result: ToolResult | None) -> str:
    given = ", ".join(f"{name}={one_line(str(value), 60)}" for name, value in call.arguments.items())
    how = "no result" if result is None else f"{'failed: ' if result.is_error else ''}{one_line(result.content, 100)}"
    return f"- {call.name}({given}): {how}"


def is_too_long(error: Refused) -> bool:
    """Whether a service refuses the request for its length; none of them says so but in words."""
    return bool(_TOO_LONG.search(str(error)))
