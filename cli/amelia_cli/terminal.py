"""Asking the person at the terminal, if there is one."""

import sys
from typing import TYPE_CHECKING, Literal

import click

from .printing import plan_lines

if TYPE_CHECKING:
    from amelia.contract.plan import Plan

Answer = tuple[Literal["approve", "reject", "leave"], str]
"""What was chosen, and for ``reject`` what is wrong with the plan."""

_WORDS: dict[str, Literal["approve", "reject", "leave"]] = {
    "a": "approve",
    "approve": "approve",
    "r": "reject",
    "reject": "reject",
    "q": "leave",
    "quit": "leave",
}


def can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(plan: "Plan") -> Answer:
    """Shows the plan and asks until the answer is one. The end of input leaves it waiting."""
    click.echo()
    for line in plan_lines(plan):
        click.echo(line)
    click.echo()
    while True:
        try:
            said = input("Approve this plan? [a]pprove, [r]eject, [q]uit and leave it waiting: ").strip().lower()
            if (choice := _WORDS.get(said)) == "reject":
                return choice, input("What is wrong with it? ").strip()
        except EOFError:
            click.echo()
            return "leave", ""
        if choice:
            return choice, ""
