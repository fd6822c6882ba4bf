"""What an agent may do: tools by name, each with the type of its arguments."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..drivers.base import Tool, ToolCall
from ..errors import AmeliaError
from ..redaction import ours
from ..workspace.tree import Tree
from . import edits, files, find, patches, shell
from .paths import ToolError
from .schema import parameters
from .unseen import placeholder, refusal
from .workshop import Workshop

LONGEST_ANSWER = 30_000
"""Characters of one tool result; what is longer loses its middle."""


class Answer(msgspec.Struct, frozen=True):
    content: str
    ok: bool = True

    @property
    def summary(self) -> str:
        """The first line that says something, at most 160 characters."""
        return one_line(self.content)


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """``brief`` tells a person in one line what a call is about to do."""

    description: str
    arguments: type[msgspec.Struct]
    run: Callable[[Workshop, Any], Awaitable[str]]
    brief: Callable[[Any], str]


def in_tree(run: Callable[[Tree, Any], Awaitable[str]]) -> Callable[[Workshop, Any], Awaitable[str]]:
    """Of a tool that needs the worktree alone."""
    return lambda shop, arguments: run(shop.tree, arguments)


READING = {
    "read_file": Skill(
        description="Reads a text file of the repository, whole or from first_line to last_line (numbered from 1).",
        arguments=files.ReadFile,
        run=in_tree(files.read_file),
        brief=lambda a: a.path,
    ),
    "list_files": Skill(
        description="Lists the repository's files (ignored ones left out): all, those in a folder, or those that "
        "match a glob in which * also matches slashes.",
        arguments=find.ListFiles,
        run=in_tree(find.list_files),
        brief=lambda a: a.glob or a.path or "all files",
    ),
    "glob": Skill(
        description="Finds files by a pattern of their path, such as src/**/*.py.",
        arguments=find.Glob,
        run=in_tree(find.glob),
        brief=lambda a: a.pattern,
    ),
    "search": Skill(
        description="Finds lines that match a regular expression in the repository's text files, with lines around "
        "them if wanted.",
        arguments=find.Search,
        run=in_tree(find.search),
        brief=lambda a: a.pattern,
    ),
}
WRITING = {
    "write_file": Skill(
        description="Creates a file, or replaces all of it. Folders are made as needed.",
        arguments=files.WriteFile,
        run=in_tree(files.write_file),
        brief=lambda a: a.path,
    ),
    "edit_file": Skill(
        description="Replaces one exact piece of a file's text, which must occur once: include enough around it. With "
        "replace_all, every occurrence.",
        arguments=edits.EditFile,
        run=in_tree(edits.edit_file),
        brief=lambda a: a.path,
    ),
    "multi_edit": Skill(
        description="Replaces several exact pieces, in one file or in many: all of them, or none when one does not "
        "fit.",
        arguments=edits.MultiEdit,
        run=in_tree(edits.multi_edit),
        brief=lambda a: ", ".join(dict.fromkeys(edit.path for edit in a.edits)),
    ),
    "apply_patch": Skill(
        description="Applies a unified diff, which may change, create, rename and delete several files: all of it, or "
        "nothing.",
        arguments=patches.ApplyPatch,
        run=in_tree(patches.apply_patch),
        brief=lambda a: patches.brief(a),
    ),
    "run_command": Skill(
        description="Runs a shell command in the repository's root and answers with its exit code and output. "
        "It gets no input, sees the system's programs and the repository but nothing else of this machine, and what it "
        "leaves in the background is ended with it. Of a long output you get both ends, and where the whole is. "
        "Commands that push, publish, deploy or delete elsewhere are left to people.",
        arguments=shell.RunCommand,
        run=shell.run_command,
        brief=lambda a: a.command,
    ),
}
CHANGING = frozenset(WRITING)


class Toolbox:
    def __init__(self, skills: dict[str, Skill], place: Workshop | Tree) -> None:
        self._skills = skills
        self._shop = Workshop(place) if isinstance(place, Tree) else place

    @property
    def needs_person(self) -> list[str]:
        """A sentence for each command that was left to a person."""
        return self._shop.needs_person

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(
            Tool(name=name, description=skill.description, parameters=parameters(skill.arguments))
            for name, skill in self._skills.items()
        )

    def brief(self, call: ToolCall) -> str:
        try:
            skill = self._skills[call.name]
            return one_line(skill.brief(msgspec.convert(call.arguments, skill.arguments)))
        except (KeyError, msgspec.ValidationError):
            return ""

    async def use(self, call: ToolCall) -> Answer:
        """Never raises for what the agent or the repository did wrong: that is an answer too. No secret is in it."""
        skill = self._skills.get(call.name)
        if skill is None:
            return Answer(f"there is no tool {call.name}; there are: {', '.join(self._skills)}", ok=False)
        if call.name in CHANGING and (mark := placeholder(call.arguments)):
            return Answer(refusal(mark), ok=False)
        try:
            arguments = msgspec.convert(call.arguments, skill.arguments)
            return Answer(shorten(ours().text(await skill.run(self._shop, arguments))))
        except msgspec.ValidationError as error:
            return Answer(f"the arguments of {call.name} do not fit: {error}", ok=False)
        except (ToolError, AmeliaError) as error:
            return Answer(shorten(ours().text(str(error))), ok=False)
        except (OSError, ValueError) as error:
            return Answer(ours().text(f"{call.name} failed: {error}"), ok=False)


def shorten(text: str, most: int = LONGEST_ANSWER) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters elided …\n{text[-half:]}"


def one_line(text: str, most: int = 160) -> str:
    line = next((stripped for raw in text.splitlines() if (stripped := raw.strip())), "")
    return line if len(line) <= most else line[: most - 1] + "…"
