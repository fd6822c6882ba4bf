"""Secrets that are known: this program's own, in every form in which they are usually written."""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from .shapes import looks_secret, names_secret

SHORTEST = 8
"""Characters; what is shorter would be found in ordinary text."""
_LARGEST_FILE = 65_536
_LINE = 32
_EXACT = frozenset({"AWS_ACCESS_KEY_ID"})
_WEAK = re.compile(r"(?:_KEY|_PAT|_AUTH|_COOKIE|_SALT)$", re.IGNORECASE)
"""Names that end like a secret's more often than they are one's: what they hold has to look like one."""
_IN_FILE = re.compile(r"(?:TOKEN|KEY|SECRET|PASSWORD|CREDENTIALS)_FILE$", re.IGNORECASE)
_USERINFO = re.compile(r"://([^\s/:@]*):([^\s/@]+)@")
_NONE = frozenset({"AMELIA_MASTER_SECRET", "PWD", "OLDPWD"})
"""Variables that are called like a secret and hold none: a name, the working directory."""


def in_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Kind and value: of variables that are named like secrets, of passwords in addresses, and of the files that
    variables such as ``*_TOKEN_FILE`` name. A file that cannot be read holds none of ours."""
    for name, value in environ.items():
        if name in _NONE:
            continue
        if _IN_FILE.search(name) or (names_secret(name) and _is_file(value)):
            yield from in_file(name.removesuffix("_FILE"), value)
        elif name in _EXACT or (names_secret(name) and _worth(value)) or (_WEAK.search(name) and looks_secret(value)):
            yield name, value
        for found in _USERINFO.finditer(value):
            yield name, found[2]
            yield name, unquote(found[2])


def in_file(kind: str, path: str) -> Iterator[tuple[str, str]]:
    """What a file holds: all of it, and of several lines also each that is long or assigns something."""
    try:
        file = Path(path)
        text = file.read_text().strip() if file.is_file() and file.stat().st_size <= _LARGEST_FILE else ""
    except (OSError, ValueError):
        return
    yield kind, text
    for line in text.splitlines() if "\n" in text else ():
        name, _, value = line.partition("=")
        if names_secret(name.strip()):
            yield kind, value.strip().strip("\"'")
        elif len(line.strip()) >= _LINE and "-----" not in line and " " not in line.strip():
            yield kind, line.strip()


def forms(value: str) -> Iterator[str]:
    """How the value may stand in a text: as it is, escaped, encoded."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    data = value.encode("utf-8", "surrogateescape")
    yield data.hex()
    yield data.hex().upper()
    for shift in range(3):
        yield from _in_base64(data, shift)


def _in_base64(data: bytes, shift: int) -> Iterator[str]:
    """The characters that are the same whatever stands around it, when it begins ``shift`` bytes into a group."""
    whole = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
    begin = (0, 2, 3)[shift]
    end = len(whole) if (shift + len(data)) % 3 == 0 else len(whole) - 1
    core = whole[begin:end]
    yield core
    yield core.replace("+", "-").replace("/", "_")


def _worth(value: str) -> bool:
    """A word that stands for a password on a developer's machine is also a word, and a number also counts something."""
    word = value.isalpha() and value.islower() and len(value) < 14
    number = value.replace(".", "").isdigit() and len(value) < 16
    return len(value) >= SHORTEST and not (word or number)


def _is_file(value: str) -> bool:
    return value.startswith("/") and os.path.isfile(value)  # noqa: PTH113 - this one raises for no text
