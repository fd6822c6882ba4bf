"""What an agent may do, and what it may not."""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amelia.contract.plan import Plan
from amelia.drivers.base import ToolCall
from amelia.tools import paths
from amelia.tools.schema import parameters
from amelia.tools.toolbox import READING, WRITING, Answer, Toolbox
from amelia.tools.workshop import Workshop
from amelia.workspace.tree import Tree


async def use(box: Toolbox, name: str, **arguments: Any) -> Answer:
    return await box.use(ToolCall("1", name, arguments))


async def gone(words: str) -> bool:
    """Whether nothing runs any more whose command line holds the words."""
    for _ in range(500):
        if not any(words in line for line in command_lines()):
            return True
        await asyncio.sleep(0.01)
    return False


def command_lines() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                yield (entry / "cmdline").read_text().replace("\0", " ")


@pytest.fixture
def nap() -> str:
    """A command that sleeps for long, and can be told from others."""
    return f"sleep 300.{uuid.uuid4().int % 10**9}"


async def test_a_file_is_read_whole_or_in_part(box: Toolbox) -> None:
    assert (await use(box, "read_file", path="src/a.py")).content == "one = 1\ntwo = 2\none_more = 1\n"
    assert (await use(box, "read_file", path="src/a.py", first_line=2, last_line=2)).content == "two = 2\n"
    assert (await use(box, "read_file", path="src/a.py", first_line=9)).content.endswith("there is no line 9")


OUTSIDE = ("../seed/src/a.py", "/etc/passwd", "link", "folder/secret", "folder/new", ".git", ".git/config", "")


async def test_nothing_outside_the_worktree_is_read_or_written(box: Toolbox, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    for path in OUTSIDE:
        for answer in (await use(box, "read_file", path=path), await use(box, "write_file", path=path, content="x")):
            assert not answer.ok
            assert "hunter2" not in answer.content
    assert (tmp_path / "secret").read_text() == "hunter2\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == before


async def test_an_edit_replaces_exactly_one_piece(box: Toolbox, tree: Tree) -> None:
    assert (
        await use(box, "edit_file", path="src/a.py", old="two = 2", new="two = 3")
    ).content == "changed src/a.py at line 2"
    assert "two = 3" in (tree.root / "src" / "a.py").read_text()
    assert "occurs 2 times" in (await use(box, "edit_file", path="src/a.py", old="= 1", new="= 4")).content
    missing = await use(box, "edit_file", path="src/a.py", old="two  = 3", new="")
    assert missing.content.endswith("the nearest line is 2: 'two = 3'")
    assert not missing.ok


async def test_an_edit_can_replace_every_occurrence_and_keeps_the_ends_of_lines(box: Toolbox, tree: Tree) -> None:
    twice = {"path": "src/a.py", "old": "= 1", "new": "= 4"}
    said = await use(box, "edit_file", **twice)
    assert "occurs 2 times in src/a.py, at line 1, 3; include more lines around it, or say replace_all" in said.content
    assert (await use(box, "edit_file", **twice, replace_all=True)).content.endswith("at line 1 and 1 more places")
    (tree.root / "dos.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    assert (await use(box, "edit_file", path="dos.txt", old="one\ntwo", new="1\n2")).ok
    assert (tree.root / "dos.txt").read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_a_slip_in_spacing_is_shown_as_the_file_has_it(box: Toolbox, tree: Tree) -> None:
    (tree.root / "f.py").write_text("def f():\n    if x:\n        return 1\n")
    missing = await use(box, "edit_file", path="f.py", old="if x:\n    return 1", new="return 2")
    assert "but for its spacing it is at line 2, where the file has:\n    if x:\n        return 1" in missing.content


async def test_several_edits_are_made_all_or_none(box: Toolbox, tree: Tree) -> None:
    (tree.root / "b.py").write_text("b = 1\n")
    first, second = ({"path": "src/a.py", "old": "two = 2", "new": "two = 3"}, {"path": "b.py", "old": "b", "new": "c"})
    wrong = await use(box, "multi_edit", edits=[first, second, {"path": "b.py", "old": "b = 1", "new": ""}])
    assert wrong.content.startswith("nothing was changed, because of edit 3 of 3: the text does not occur in b.py")
    assert (tree.root / "b.py").read_text() == "b = 1\n"
    said = await use(box, "multi_edit", edits=[first, second, {"path": "b.py", "old": "c = 1", "new": "d = 1"}])
    assert said.content.splitlines() == ["changed src/a.py at line 2", *["changed b.py at line 1"] * 2]
    assert (tree.root / "b.py").read_text() == "d = 1\n"
    assert not (await use(box, "multi_edit", edits=[])).ok


async def test_a_file_keeps_its_mode(box: Toolbox, tree: Tree) -> None:
    script = tree.root / "run.sh"
    script.write_text("echo 1\n")
    script.chmod(0o755)
    await use(box, "edit_file", path="run.sh", old="1", new="2")
    assert script.stat().st_mode & 0o777 == 0o755


async def test_a_link_that_appears_on_the_way_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "sub").mkdir()
    real = paths.inside(tree.root, "sub/x")
    (tree.root / "sub").rmdir()
    (tree.root / "sub").symlink_to(tmp_path)
    name, flags = real.relative_to(tree.root.resolve()), os.O_WRONLY | os.O_CREAT
    with pytest.raises((paths.ToolError, OSError)), paths._opened(tree.root.resolve(), name, flags):
        pass
    assert not (tmp_path / "x").exists()


async def test_files_are_found_by_a_pattern_and_by_their_folder(box: Toolbox) -> None:
    for name in ("src/deep/b.py", "top.py"):
        await use(box, "write_file", path=name, content="x")
    assert (await use(box, "glob", pattern="src/*.py")).content == "src/a.py"
    assert (await use(box, "glob", pattern="**/*.py")).content == "src/a.py\nsrc/deep/b.py\ntop.py"
    assert (await use(box, "glob", pattern="*.rs")).content == "no file matches *.rs"
    assert (await use(box, "list_files", path="src")).content == "src/a.py\nsrc/deep/b.py"
    assert "outside the repository" in (await use(box, "list_files", path="folder")).content


async def test_a_search_can_be_narrowed_and_widened(box: Toolbox) -> None:
    await use(box, "write_file", path="src/b.txt", content="TWO\n\nthree\n")
    assert (await use(box, "search", pattern="two", ignore_case=True, glob="*.txt")).content == "src/b.txt:1:TWO"
    assert (await use(box, "search", pattern="two", path="src", names_only=True)).content == "src/a.py"
    around = (await use(box, "search", pattern="two", context=1)).content
    assert around == "src/a.py-1-one = 1\nsrc/a.py:2:two = 2\nsrc/a.py-3-one_more = 1"
    assert (await use(box, "search", pattern="two", path="src", glob="**/*.py")).content == "src/a.py:2:two = 2"


async def test_files_are_listed_without_the_ignored_ones(box: Toolbox) -> None:
    await use(box, "write_file", path="new/b.py", content="b")
    await use(box, "write_file", path="noise.log", content="b")
    assert (await use(box, "list_files", glob="*.py")).content == "new/b.py\nsrc/a.py"
    assert "noise.log" not in (await use(box, "list_files")).content


async def test_a_search_finds_lines_in_new_files_too_and_follows_no_link(box: Toolbox) -> None:
    await use(box, "write_file", path="b.py", content="three = 3\n")
    assert (await use(box, "search", pattern=r"^\w+ = [23]$")).content == "b.py:1:three = 3\nsrc/a.py:2:two = 2"
    assert (await use(box, "search", pattern="hunter")).content == "no match"
    assert (await use(box, "search", pattern="three", path="src")).content == "no match"
    assert not (await use(box, "search", pattern="(")).ok


async def test_a_command_answers_with_its_exit_code_and_output(box: Toolbox) -> None:
    assert (await use(box, "run_command", command="pwd >&2; exit 3")).content.startswith("exit code 3\n/")
    assert (await use(box, "run_command", command="cat; echo end")).content == "exit code 0\nend"


async def test_a_command_that_takes_too_long_is_killed_with_its_children(box: Toolbox, nap: str) -> None:
    answer = await use(box, "run_command", command=f"{nap} & echo begun; wait", timeout_seconds=2)
    assert answer.content == "killed after 2 s\nbegun"
    assert await gone(nap)


async def test_what_a_command_leaves_in_the_background_ends_with_it(box: Toolbox, nap: str) -> None:
    answer = await use(box, "run_command", command=f"{nap} & echo begun")
    assert answer.content == "exit code 0\nbegun"
    assert await gone(nap)


async def test_a_command_that_leaves_its_session_keeps_nobody_waiting_and_its_output_is_kept(box: Toolbox) -> None:
    answer = await use(box, "run_command", command="setsid sleep 5 & echo said")
    assert answer.content == "exit code 0\nsaid"


LONG = "echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo last"


async def test_long_output_loses_its_middle_and_the_agent_finds_the_whole_of_it(box: Toolbox) -> None:
    answer = await use(box, "run_command", command=LONG)
    assert len(answer.content) < 30_000
    assert "first" in answer.content
    assert "bytes elided" in answer.content
    assert "\nlast\n" in answer.content
    assert "(the whole output, of 9000012 bytes, is in $HOME/outputs/output.txt" in answer.content
    found = await use(box, "run_command", command="wc -c < $HOME/outputs/output.txt; grep -c last $HOME/outputs/*")
    assert found.content == "exit code 0\n9000012\n1"


async def test_the_whole_of_a_long_output_is_kept_under_a_name(tree: Tree) -> None:
    kept: list[bytes] = []

    async def keep(data: bytes) -> str:
        kept.append(data)
        return f"output-{len(kept)}.txt"

    box = Toolbox(READING | WRITING, Workshop(tree, keep=keep))
    assert "$HOME/outputs/output-1.txt" in (await use(box, "run_command", command=LONG)).content
    await use(box, "run_command", command="echo short")
    assert [len(data) for data in kept] == [9_000_012]
    await use(box, "run_command", command="rm -r $HOME/outputs; ln -s / $HOME/outputs")
    assert "is kept for people as output-2.txt" in (await use(box, "run_command", command=LONG)).content
    assert not Path("/output-2.txt").exists()


async def test_a_mistake_of_the_agent_is_an_answer_and_no_crash(box: Toolbox) -> None:
    assert "there is no tool rm" in (await use(box, "rm")).content
    assert "do not fit" in (await use(box, "read_file", file="x")).content
    assert "not a text file" in (await use(box, "read_file", path="picture.bin")).content
    assert "is a folder" in (await use(box, "read_file", path="src")).content
    assert not (await use(box, "write_file", path="src", content="")).ok
    await use(box, "run_command", command="mkfifo pipe")
    assert not (await use(box, "write_file", path="pipe", content="")).ok
    assert not (await use(box, "read_file", path="a\0b")).ok


def test_schemas_of_tools_have_no_references() -> None:
    schema = parameters(Plan)
    assert "$ref" not in str(schema)
    assert json.loads(json.dumps(schema)) == schema
    item = schema["properties"]["tasks"]["items"]
    assert {"id", "title", "verification"} <= set(item["properties"])
    assert item["required"] == ["id", "title", "description"]
