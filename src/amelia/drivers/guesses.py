"""What a service would have to say and does not."""

import re
from hashlib import sha256

import msgspec

from amelia.drivers.assembly import Assembly
from amelia.drivers.base import Request, Usage

CHARACTERS_A_TOKEN = 4
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,40}")


def guessed(request: Request, assembly: Assembly) -> Usage:
    """By length, so that a budget holds also where a service counts no tokens."""
    sent = len(msgspec.json.encode((request.system, request.messages, request.tools)))
    return Usage(
        input_tokens=sent // CHARACTERS_A_TOKEN + 1, output_tokens=assembly.characters // CHARACTERS_A_TOKEN + 1
    )


def plain_id(call_id: str) -> str:
    """A call's id as every service takes it, also one that another service gave it: at most 40 letters, digits,
    underscores and hyphens. The same id always becomes the same one."""
    if _PLAIN.fullmatch(call_id):
        return call_id
    return f"call_{sha256(call_id.encode()).hexdigest()[:24]}"
