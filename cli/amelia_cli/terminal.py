"""Asking the person at the terminal, if there is one."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from .printing import clean, diff_lines, paint, plan_lines

if TYPE_CHECKING:
    from amelia.contract.plan import Plan
    from amelia.contract.views import PlanView

Choice = Literal["approve", "reject", "revise", "leave"]
_Said = Choice | Literal["edit", "diff"]


class Answer(msgspec.Struct, frozen=True):
    """What was chosen. ``feedback`` says what is wrong, of ``revise`` what is to be different; ``edited`` is the plan
    that was approved in place of the one that was shown."""

    choice: Choice
    feedback: str = ""
    edited: "Plan | None" = None


_PLAN: Mapping[str, _Said] = {
    "a": "approve",
    "approve": "approve",
    "v": "revise",
    "revise": "revise",
    "e": "edit",
    "edit": "edit",
    "r": "reject",
    "reject": "reject",
    "q": "leave",
    "quit": "leave",
}
_WORK: Mapping[str, _Said] = {
    "a": "approve",
    "accept": "approve",
    "b": "revise",
    "back": "revise",
    "d": "diff",
    "diff": "diff",
    "r": "reject",
    "reject": "reject",
    "q": "leave",
    "quit": "leave",
}


def can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(seen: "PlanView", *, edits: bool = False) -> Answer:
    """Shows the plan and asks until the answer is one. The end of input leaves it waiting. With ``edits`` the plan may
    be changed here; what is asked about is then the changed one."""
    _show(plan_lines(seen.plan, seen))
    known = _PLAN if edits else {word: said for word, said in _PLAN.items() if said != "edit"}
    question = (
        f"Approve this plan? [a]pprove, re[v]ise, {'[e]dit, ' if edits else ''}[r]eject, [q]uit and leave it waiting: "
    )
    edited: Plan | None = None
    while True:
        answer = _asked(question, known, "What is wrong with it? ")
        if answer == "edit":
            edited = _edited(edited or seen.plan, seen.plan)
        elif isinstance(answer, Answer):
            if answer.choice == "approve":
                return msgspec.structs.replace(answer, edited=edited)
            if edited is not None:
                click.echo("your edits are not kept: only an approval takes the plan that you edited")
            return answer


def ask_about_work(unresolved: tuple[str, ...], diff: Callable[[], bytes]) -> Answer:
    """Says what the Reviewer has against the work, and asks what is to become of it."""
    _show(["The Reviewer does not accept the work:", *(f"  - {clean(line)}" for line in unresolved)])
    question = (
        "Accept it as it is? [a]ccept, send it [b]ack, look at the [d]iff, [r]eject, [q]uit and leave it waiting: "
    )
    while True:
        answer = _asked(question, _WORK, "Why? ")
        if answer == "diff":
            click.echo_via_pager("\n".join(diff_lines(diff().decode(errors="replace"))))
        elif isinstance(answer, Answer):
            return answer


def _asked(question: str, known: Mapping[str, _Said], why: str) -> Answer | Literal["edit", "diff"] | None:
    """None when it was no answer, or one that takes something back."""
    try:
        answer = input(question).strip().lower()
        said = known.get(answer)
        match said:
            case None:
                click.echo(f"{clean(answer) or 'nothing'} is no answer; give one of {', '.join(known)}")
                return None
            case "reject":
                return Answer("reject", input(why).strip())
            case "revise":
                wanted = input("What is to be different? ").strip()
                if not wanted:
                    click.echo("nothing was said, so nothing is sent back")
                    return None
                return Answer("revise", wanted)
            case "approve" | "leave":
                return Answer(said)
            case _:
                return said
    except EOFError:
        click.echo()
        return Answer("leave")


def _edited(now: "Plan", first: "Plan") -> "Plan | None":
    """The plan after another look at it in the editor, None when it is the ``first`` again. What changed is shown."""
    from amelia.domain.plan import changes
    from amelia.errors import Refused

    from .plan_text import edited

    try:
        after = edited(now) or now
    except Refused as refusal:
        click.echo(str(refusal), err=True)
        after = now
    if after == first:
        click.echo("the plan is as it was")
        return None
    _show([paint("The plan is now:", "yellow"), "", *plan_lines(after), "", *diff_lines(changes(first, after))])
    return after


def _show(lines: Iterable[str]) -> None:
    click.echo()
    for line in lines:
        click.echo(line)
    click.echo()
