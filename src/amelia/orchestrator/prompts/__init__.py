"""What the agents are told about their work, one file each."""

from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """Read once, at the first use."""
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
