"""What an agent may do, and what it may not."""

import asyncio
import json
from pathlib import Path
from typing import Any

from amelia.contract.plan import Plan
from amelia.drivers.base import ToolCall
from amelia.tools.schema import parameters
from amelia.tools.toolbox import Answer, Toolbox
from amelia.workspace.tree import Tree


async def use(box: Toolbox, name: str, **arguments: Any) -> Answer:
    return await box.use(ToolCall("1", name, arguments))


async def gone(pid: str) -> bool:
    stat = Path("/proc") / pid / "stat"
    for _ in range(500):
        if not stat.exists() or stat.read_text().rsplit(")", 1)[-1].split()[0] in "XZ":
            return True
        await asyncio.sleep(0.01)
    return False


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


async def test_a_command_that_takes_too_long_is_killed_with_its_children(box: Toolbox, tree: Tree) -> None:
    answer = await use(box, "run_command", command="sleep 300 & echo $!; wait", timeout_seconds=1)
    assert answer.content.startswith("killed after 1 s\n")
    assert await gone(answer.content.split()[-1])


async def test_what_a_command_leaves_in_the_background_ends_with_it(box: Toolbox) -> None:
    answer = await use(box, "run_command", command="sleep 300 & echo $!")
    assert await gone(answer.content.split()[-1])


async def test_a_command_that_leaves_its_session_keeps_nobody_waiting_and_its_output_is_kept(box: Toolbox) -> None:
    answer = await use(box, "run_command", command="setsid sleep 5 & echo said")
    assert answer.content == "exit code 0\nsaid"


async def test_long_output_loses_its_middle(box: Toolbox) -> None:
    answer = await use(
        box, "run_command", command="echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo last"
    )
    assert len(answer.content) < 30_000
    assert "first" in answer.content
    assert "bytes elided" in answer.content
    assert answer.content.endswith("last")


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
