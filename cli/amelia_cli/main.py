"""The command itself: what there is, and where it is."""

import os
import sys

import click

from .edge import columns, guard, open_streams
from .lazy import LazyGroup

_COMMANDS = {
    "start": ("amelia_cli.start:start", "Work an issue, here or on a fleet."),
    "plan": ("amelia_cli.plan:plan", "Have an issue planned here, and nothing carried out."),
    "review": ("amelia_cli.review:review", "Have the Reviewer judge what is not committed here."),
    "workflows": ("amelia_cli.workflows:workflows", "Look at workflows, a fleet's or those here, and decide them."),
    "rerun": ("amelia_cli.rerun:rerun", "Play a workflow again with this version, and compare."),
    "queue": ("amelia_cli.queue:queue", "Who waits for a turn, for what and until when."),
    "dead-letters": ("amelia_cli.letters:letters", "Messages that were given up: look, send again, discard."),
    "memory": ("amelia_cli.memory:memory", "What was learnt about a repository: look, forget."),
    "profile": ("amelia_cli.profile:profile", "What settings.amelia.yaml says, and whether it is right."),
    "config": ("amelia_cli.config:config", "The schema of the settings file."),
    "up": ("amelia_cli.fleet:up", "Start the fleet on this machine."),
    "down": ("amelia_cli.fleet:down", "Stop it; its data stays."),
    "status": ("amelia_cli.fleet:status", "Say what of it runs."),
}

amelia = LazyGroup(
    name="amelia",
    commands_at=_COMMANDS,
    help="""Turns an issue into a reviewed change: plan, approval, development, review, branch.

    \b
    Examples:
      amelia start issues/wrong-total.md
      amelia up --detach && amelia start issues/wrong-total.md --remote
    """,
    epilog="""\b
    Exit codes: 0 success, 1 the workflow failed, was cancelled or paused, or a
    review asks for changes, 2 wrong usage or refused, 3 not signed in,
    4 not found, 5 conflict, 7 unavailable, 70 an error inside amelia,
    130 interrupted, 141 output closed.
    """,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(package_name="amelia", prog_name="amelia")(amelia)


def main() -> int:
    """Runs ``sys.argv`` and gives the exit code."""
    open_streams()
    if "_AMELIA_COMPLETE" in os.environ:
        amelia(prog_name="amelia")
    return guard(sys.argv[1:], _run)


def _run(arguments: list[str]) -> None:
    with amelia.make_context("amelia", arguments, terminal_width=_width()) as context:
        amelia.invoke(context)


def _width() -> int:
    """As click has it: at most 78 and at least 50."""
    return max(min(columns(), 80) - 2, 50)


if __name__ == "__main__":
    sys.exit(main())
