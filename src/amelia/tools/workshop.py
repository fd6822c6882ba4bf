"""Where an agent works: its worktree, a place for what is too long to be shown, and what it leaves to people."""

from collections.abc import Awaitable, Callable
from functools import cached_property

from ..workspace.tree import Tree
from .command_policy import CommandPolicy, command_policy

Keep = Callable[[bytes], Awaitable[str]]
"""Keeps a whole output; returns the name of the artifact."""


class Workshop:
    """``needs_person`` grows by a sentence for each command that was not run because a person has to."""

    def __init__(self, tree: Tree, *, keep: Keep | None = None, policy: CommandPolicy | None = None) -> None:
        self.tree = tree
        self.keep = keep
        self._policy = policy
        self.needs_person: list[str] = []

    @cached_property
    def policy(self) -> CommandPolicy:
        """That of the environment, when none was given. Raises ``Refused`` when its file does not fit."""
        return self._policy or command_policy()

    def leave_to_people(self, sentence: str) -> None:
        if sentence not in self.needs_person:
            self.needs_person.append(sentence)
