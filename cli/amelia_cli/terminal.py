"""Asking the person at the terminal, if there is one."""

import sys
from typing import TYPE_CHECKING, Literal

import click

from .printing import plan_lines

if TYPE_CHECKING:
    from amelia.contract.plan import Plan
    from amelia.contract.views import PlanView

Choice = Literal["approve", "reject", "revise", "leave"]
Answer = tuple[Choice, str]
"""What was chosen; for ``reject`` what is wrong with the plan, for ``revise`` what is to be different."""

_WORDS: dict[str, Choice] = {
    "a": "approve",
    "approve": "approve",
    "r": "reject",
    "reject": "reject",
    "v": "revise",
    "revise": "revise",
    "q": "leave",
    "quit": "leave",
}


def can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(plan: "Plan", seen: "PlanView | None" = None) -> Answer:
    """Shows the plan, with what ``seen`` adds, and asks until the answer is one. The end of input leaves it waiting."""
    click.echo()
    for line in plan_lines(plan, seen):
        click.echo(line)
    click.echo()
    while True:
        try:
            said = input("Approve this plan? [a]pprove, re[v]ise, [r]eject, [q]uit and leave it waiting: ")
            if (choice := _WORDS.get(said.strip().lower())) == "reject":
                return choice, input("What is wrong with it? ").strip()
            if choice == "revise":
                wanted = input("What is to be different? ").strip()
                if not wanted:
                    continue
                return choice, wanted
        except EOFError:
            click.echo()
            return "leave", ""
        if choice:
            return choice, ""
