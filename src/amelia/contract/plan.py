"""What the Architect proposes and what the Reviewer answers."""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=48)]


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One commit's worth of work. ``verification`` is a shell command that exits 0 when the task is done."""

    id: Slug
    title: Annotated[str, Meta(min_length=1, max_length=120)]
    description: str
    dependencies: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    verification: str = ""
    estimate_minutes: Annotated[int, Meta(ge=0)] = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A graph of tasks; the rules it must keep are in ``domain.plan``. ``test_command`` runs the project's tests."""

    summary: str
    tasks: tuple[Task, ...]
    test_command: str = ""


class Comment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``major`` and ``blocker`` send the work back."""

    severity: Literal["info", "minor", "major", "blocker"]
    message: str
    file: str = ""
    line: Annotated[int, Meta(ge=0)] = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    approved: bool
    summary: str
    comments: tuple[Comment, ...] = ()


def plan_sha256(plan: Plan) -> str:
    """What an approval names: the hash of the plan's sorted JSON, 64 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(plan, order="sorted")).hexdigest()
