"""What the agents are told about their work, one file each."""

from functools import cache
from importlib.resources import files

_AGENTS = frozenset({"architect", "developer", "reviewer"})


@cache
def prompt(name: str) -> str:
    """Read once, at the first use. An agent's ends with what all of them are told about material and orders."""
    text = files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
    return f"{text}\n\n{prompt('material')}" if name in _AGENTS else text
