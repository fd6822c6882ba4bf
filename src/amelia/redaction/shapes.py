"""Secrets that show by their shape, whoever they belong to."""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from math import log2

_TOKENS = {
    "aws-access-key": ("AKIA ASIA", r"A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    "github-token": (
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}",
    ),
    "gitlab-token": ("glpat-", r"glpat-[A-Za-z0-9_-]{20,}"),
    "slack-token": ("xox xapp-", r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}"),
    "slack-webhook": ("hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    "anthropic-key": ("sk-ant-", r"sk-ant-[A-Za-z0-9_-]{16,}"),
    "openai-key": ("sk-", r"sk-[A-Za-z0-9_-]{20,}"),
    "stripe-key": ("k_live_ k_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    "google-key": (
        "AIza GOCSPX- ya29.",
        r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,}",
    ),
    "jira-token": ("ATATT3", r"ATATT3[A-Za-z0-9_=-]{30,}"),
    "npm-token": ("npm_", r"npm_[A-Za-z0-9]{36}"),
    "pypi-token": ("pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{30,}"),
    "huggingface-token": ("hf_", r"hf_[A-Za-z]{34}"),
    "sendgrid-key": ("SG.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "age-key": ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    "jwt": ("eyJ", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "private-key": (
        "PRIVATE KEY",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:(?!-----)[\s\S]){40,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]{16,})+)"
        r"|(?:(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{16,100}\s{1,2}){1,70}"
        r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
    ),
}
"""By kind: words of which one is in every such secret, since to look for a word is quick; then what one looks like."""
_NEEDS_EDGE = frozenset({"openai-key", "aws-access-key", "huggingface-token", "sendgrid-key"})
"""Short prefixes that also stand inside words: these count only where a word begins."""
_NEEDS_DIGIT = frozenset({"openai-key", "slack-token"})

_KEYS = ("api", "access", "private", "signing", "encryption", "auth", "account", "master")
_WORDS = (
    *("passwd", "password", "passphrase", "pwd", "secret", "token", "credential"),
    *(f"{of}{between}key" for of in _KEYS for between in ("", "_", "-", " ")),
)
_NAMES = rf"passw(?:or)?d|passphrase|pwd|secret|token|credential|(?:{'|'.join(_KEYS)})[_ -]?key"
_VALUE = (
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\s\"'`\\]{8,512})(?=\\?(?P=quote))"
    r"|(?P<bare>[^\s\"'`\\<>(){}\[\],;|&]{8,512}))"
)
_ASSIGNED = (
    rf"(?P<name>{_NAMES})(?P<rest>[A-Za-z0-9_-]{{0,40}})(?:\\?[\"'])?"
    rf"(?P<sign>\s{{0,4}}(?::=|=>|[:=])\s{{0,4}}|\sis:?\s)\\?{_VALUE}"
)
_BEARER = r"(?:bearer|basic)\s{1,2}(?P<value>[A-Za-z0-9._~+/-]{16,}=*)"
_IN_ADDRESS = r"://[^\s/:@\"'`<>]{0,100}:(?P<value>[^\s/@\"'`<>{}$]{3,200})@"
_NO_SECRETS = re.compile(
    r"_?-?(?:file|path|dir|ur[il]|name|id|type|count|limit|hash|sha\d*|ttl|seconds|expiry|expires\w*|length|size|"
    r"endpoint|version|header|field|regex|pattern|s?used)$",
    re.IGNORECASE,
)
"""How a name ends whose value is about a secret and not one."""
_EXPRESSION = re.compile(r"[A-Za-z_]\w{0,40}(?:\??\.[A-Za-z_]\w{0,40})+|[a-z]+(?:_[a-z]+)*_?\d{0,2}")
_DOTTED = re.compile(r"[A-Za-z_]\w{0,40}(?:\??\.[A-Za-z_]\w{0,40})+")
_PATH = re.compile(r"(?:~|\.{1,2})?/[\w.-]{0,30}(?:/[\w.-]{0,30})+|.*://.*")
_VERSION = re.compile(r"[\^~<>=v]*\d+\.\d+[\w.+-]*")
_BLANK = re.compile(r"\$.*|%[({].*|\{\{.*|<.*|(?:your|my|some|the)[_-].*|x{3,}.*|\*{3,}.*|\.{3,}.*|\[redacted:[^\]]+\]")
_ORDINARY = frozenset(
    {"password", "passwd", "secret", "token", "postgres", "root", "admin", "changeme", "example", "localhost", "guest"}
    | {"user", "pass", "test", "none", "null", "true", "false", "undefined"}
)
_DIGIT, _LETTER = re.compile(r"[0-9]"), re.compile(r"[^\W\d_]")
_LEAST_ENTROPY = 2.3
"""Bits a character; English words have less when they are short, and what was drawn at random has more."""


@cache
def _tokens() -> tuple[tuple[str, list[str], re.Pattern[str]], ...]:
    return tuple((kind, words.split(), re.compile(pattern)) for kind, (words, pattern) in _TOKENS.items())


@cache
def _assigned() -> re.Pattern[str]:
    return re.compile(_ASSIGNED, re.IGNORECASE)


@cache
def _carried() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return ("authorization", re.compile(_BEARER, re.IGNORECASE)), ("url-password", re.compile(_IN_ADDRESS))


def without_shapes(text: str, mark: Callable[[str], str]) -> str:
    """``mark`` is what stands for a secret of a kind."""
    text = without_tokens(text, mark)
    for kind, pattern in _carried():
        text = pattern.sub(partial(_in_place, mark(kind)), text)
    return _without_assigned(text, mark)


def without_tokens(text: str, mark: Callable[[str], str]) -> str:
    """Without those alone that are known by themselves, and not by what they are assigned to or carried in."""
    for kind, words, pattern in _tokens():
        if any(word in text for word in words):
            text = pattern.sub(partial(_token, kind, mark(kind)), text)
    return text


def _token(kind: str, mark: str, found: re.Match[str]) -> str:
    inside = kind in _NEEDS_EDGE and not _at_edge(found.string, found.start())
    dull = kind in _NEEDS_DIGIT and not any(c.isdigit() for c in found[0])
    return found[0] if inside or dull else mark


def _without_assigned(text: str, mark: Callable[[str], str]) -> str:
    pieces, done = [], 0
    for start, name, value in _assignments(text):
        pieces += [text[done:start], mark(name)]
        done = start + len(value)
    return "".join([*pieces, text[done:]]) if pieces else text


def assigned_in(text: str) -> Iterator[tuple[str, str]]:
    """The names of kinds, and the values that a text assigns to names of secrets."""
    return ((name, value) for _, name, value in _assignments(text))


def _assignments(text: str) -> Iterator[tuple[int, str, str]]:
    """Where a value begins, the kind of its name, and the value."""
    done = 0
    for place in _places(text):
        found = _assigned().match(text, place) if place >= done else None
        if found is None:
            continue
        value = found["quoted"] or found["bare"]
        if not _NO_SECRETS.search(found["rest"]) and _is_secret(found, value):
            start = found.start("quoted" if found["quoted"] else "bare")
            done = start + len(value)
            yield start, found["name"].lower().replace("_", "-"), value


def _places(text: str) -> list[int]:
    """Where a name may begin. To look for words one by one is faster than one expression for all."""
    lower = text.lower()
    if len(lower) != len(text):
        return [found.start() for found in re.finditer(_NAMES, text, re.IGNORECASE)]
    places = []
    for word in _WORDS:
        place = lower.find(word)
        while place >= 0:
            places.append(place)
            place = lower.find(word, place + 1)
    return sorted(places)


def names_secret(name: str) -> bool:
    """Whether a field or a variable is called like a secret."""
    found = re.search(rf"(?:{_NAMES})([A-Za-z0-9_-]{{0,40}})$", name, re.IGNORECASE)
    return found is not None and not _NO_SECRETS.search(found[1])


def looks_secret(value: str) -> bool:
    """Whether the value of such a field is probably one: no blank to fill in, and neither a word nor a number."""
    if len(value) < 8 or " " in value or value.lower() in _ORDINARY:
        return False
    if _BLANK.fullmatch(value.lower()) or _PATH.fullmatch(value) or _VERSION.fullmatch(value):
        return False
    mixed = len(value) >= 16 and value.lower() != value != value.upper()
    drawn = _LETTER.search(value) and (mixed or _DIGIT.search(value))
    return bool(drawn) and _entropy(value) >= _LEAST_ENTROPY


def _is_secret(found: re.Match[str], value: str) -> bool:
    if not found["quoted"] and not _DIGIT.search(value):
        return False
    if not looks_secret(value):
        return False
    if found["quoted"]:
        return True
    after = found.string[found.end() : found.end() + 1]
    code = after in ("(", "[", "{") and bool(after)
    spaced = "=" in found["sign"] and found["sign"].strip() != found["sign"]
    return not code and not (_EXPRESSION if spaced else _DOTTED).fullmatch(value)


def _in_place(mark: str, found: re.Match[str]) -> str:
    value = found["value"]
    dull = value.lower() in _ORDINARY or _BLANK.fullmatch(value.lower())
    if dull or ("://" not in found[0] and not looks_secret(value)):
        return found[0]
    start, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:start] + mark + found[0][end:]


def _at_edge(text: str, place: int) -> bool:
    """Where a word begins; an escape such as ``\\n`` or ``%3D`` before it is none of it."""
    before = text[max(0, place - 3) : place]
    return not before or not (before[-1].isalnum() or before[-1] in "_-") or before[-2:-1] == "\\" or before[:1] == "%"


def _entropy(text: str) -> float:
    counts = [text.count(c) for c in set(text)]
    return -sum(n / len(text) * log2(n / len(text)) for n in counts)
