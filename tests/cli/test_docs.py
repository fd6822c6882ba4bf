"""What the documentation says of the commands, against the commands."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from amelia_cli.main import amelia

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
OVERALL = {"--help", "--output", "--url", "--profile", "--settings", "--remote", "--idempotency-key", "--state-dir"}
"""Said once for all of them."""


def commands(
    group: click.Group = amelia, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def options(command: click.Command) -> set[str]:
    shown = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    return {name for option in shown for name in option.opts if name.startswith("--")}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_each_of_its_options_is_documented(path: tuple[str, ...]) -> None:
    assert re.search(rf"(^|[`|\s]){re.escape(path[-1])}([`|\s]|$)", TEXT, re.MULTILINE)
    missing = {name for name in options(COMMANDS[path]) - OVERALL if not re.search(rf"{name}\b", TEXT)}
    assert not missing


def test_no_option_is_documented_that_there_is_not() -> None:
    known = set().union(*map(options, COMMANDS.values())) | {"--help", "--check"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", TEXT)) - known == set()


def test_the_first_overview_names_every_command() -> None:
    overview = re.split(r"[\s|]+", TEXT.split("```")[1])
    assert {name for path in COMMANDS for name in path} <= set(overview)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example_and_answers_programs(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert command.help.splitlines()[0].endswith((".", ":"))
    assert "--output" in options(command)
    if path[0] not in ("up", "down", "status"):
        assert f"amelia {' '.join(path)}" in command.help
