"""What an agent was not shown, it cannot write: a placeholder for a secret never replaces the secret."""

from ..contract.plan import Plan
from ..drivers.base import JsonObject
from ..redaction import MARK, ours


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
        f"{mark} is only a placeholder for a secret that you were not shown, or for a text that looks like one; a file "
        "that holds it still holds the real text, and nothing was changed. Leave that text as it is: with edit_file, "
        "replace pieces around it that do not contain it; a command must not contain it either. For an example of your "
        "own, write another value that is none of a real service's"
    )


def in_commands(plan: Plan) -> str:
    """What is wrong with a plan of which a command could not be run as it is shown; empty when nothing is."""
    clean = ours().value(plan)
    commands = [("the test_command", clean.test_command)]
    commands += [(f"the verification of the task {task.id}", task.verification) for task in clean.tasks]
    found = [f"{which} holds {mark[0]}" for which, command in commands if (mark := MARK.search(command))]
    if not found:
        return ""
    return (
        f"{' and '.join(found)} where what is, or looks like, a secret would be; a plan is shown without it, and the "
        "command would not work: write it without the value, for example so that it reads a file of the repository"
    )
