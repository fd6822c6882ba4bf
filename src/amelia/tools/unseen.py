"""What an agent was not shown, it cannot write: a placeholder for a secret never replaces the secret."""

from ..drivers.base import JsonObject
from ..redaction import MARK


def placeholder(arguments: JsonObject) -> str:
    """The first ``[redacted:KIND]`` in the arguments of a call; empty when there is none."""
    waiting: list[object] = [arguments]
    while waiting:
        value = waiting.pop()
        match value:
            case str():
                if found := MARK.search(value):
                    return found[0]
            case dict():
                waiting += value.values()
            case list():
                waiting += value
            case _:
                pass
    return ""


def refusal(mark: str) -> str:
    return (
        f"{mark} is only a placeholder for a secret that you were not shown; the file still holds the real text, and "
        "nothing was changed. Leave that text as it is: with edit_file, replace pieces around it that do not contain "
        "it; a command must not contain it either"
    )
