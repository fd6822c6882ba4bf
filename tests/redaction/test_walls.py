"""What goes through the walls around a run."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.events import AgentMessage
from amelia.drivers.base import Driver, Label, Message, Request, Text, TextDelta, ToolCall, ToolResult, Turn, Usage
from amelia.drivers.cast import Cast
from amelia.errors import Refused
from amelia.orchestrator.agents.betrayal import betrayed
from amelia.orchestrator.discreet import DiscreetAnnouncer, DiscreetCast, DiscreetObjects
from amelia.redaction import Redactor
from amelia.tools.shell import report
from amelia.tools.toolbox import WRITING, Toolbox
from amelia.workspace.spawn import Exit, spawn
from amelia.workspace.tree import Tree, open_tree

CANARY = "canary-7f3e2b1a9c"
MARKED = "[redacted:OPS]"
REDACTOR = Redactor([("OPS", CANARY)])
LABEL = Label(workflow_id="wf-1", issue="I-1", agent="developer")


class Parrot:
    """Says what it was told, in small pieces, and calls a tool with it."""

    name = "parrot"

    def __init__(self) -> None:
        self.heard: list[Request] = []
        self.closed = False

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        self.heard.append(request)
        words = f"It was {CANARY}. And then?"
        for place in range(0, len(words), 5):
            yield TextDelta(words[place : place + 5])
        call = ToolCall("1", "run_command", {"command": f"echo {CANARY}"})
        yield Turn(message=Message("assistant", (Text(words), call)), usage=Usage(output_tokens=3), stop="tool_calls")

    async def aclose(self) -> None:
        self.closed = True


def request() -> Request:
    messages = (
        Message("user", (Text(f"Use {CANARY}."),)),
        Message("assistant", (ToolCall("0", "read_file", {"path": "a"}),)),
        Message("user", (ToolResult("0", f"x = {CANARY}"),)),
    )
    return Request(model="m", system=f"System {CANARY}", messages=messages, label=LABEL)


async def heard(driver: Driver) -> list[TextDelta | Turn]:
    return [piece async for piece in driver.stream(request())]


async def test_a_model_neither_hears_nor_says_a_secret() -> None:
    parrot = Parrot()
    cast = DiscreetCast(Cast.single(parrot, "m"), REDACTOR)
    [choice] = cast.of("developer")
    *pieces, turn = await heard(choice.driver)
    assert (choice.model, choice.driver.name, cast.models) == ("m", "parrot", ("m",))
    assert CANARY not in repr(parrot.heard)
    assert repr(parrot.heard).count(MARKED) == 3
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == f"It was {MARKED}. And then?"
    assert isinstance(turn, Turn)
    assert turn.tool_calls[0].arguments == {"command": f"echo {MARKED}"}
    assert turn.usage.output_tokens == 3
    await cast.aclose()
    assert parrot.closed


async def test_what_was_held_back_of_a_broken_answer_is_not_said_with_the_next() -> None:
    class Broken(Parrot):
        async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
            yield TextDelta("It was")
            yield TextDelta("", anew=True)
            yield TextDelta("It is.")
            yield Turn(message=Message("assistant", (Text("It is."),)), usage=Usage(), stop="end")

    [choice] = DiscreetCast(Cast.single(Broken(), "m"), REDACTOR).of("reviewer")
    *pieces, _ = await heard(choice.driver)
    assert [piece for piece in pieces if piece != TextDelta("")] == [TextDelta("", anew=True), TextDelta("It is.")]


async def test_what_a_model_makes_up_is_run_and_written_as_it_said_it() -> None:
    made_up = "PGPASSWORD=example1 make test  # postgres://shop:shoppw@localhost/shop, SECRET_KEY=test-key-123"
    token = "gh" + "p_" + "a1B2" * 9
    call = ToolCall("1", "run_command", {"command": made_up, "password": "example-1234", "token": token, "x": CANARY})

    class Inventor(Parrot):
        async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
            self.heard.append(request)
            parts = (Text(f"I run {made_up}."), call)
            yield Turn(message=Message("assistant", parts), usage=Usage(), stop="tool_calls")

    inventor = Inventor()
    [choice] = DiscreetCast(Cast.single(inventor, "m"), REDACTOR).of("developer")
    results = Message("user", (ToolResult("1", made_up),))
    asked = Request(model="m", system="", messages=(Message("assistant", (call,)), results), label=LABEL)
    [turn] = [piece async for piece in choice.driver.stream(asked) if isinstance(piece, Turn)]
    stays = {"command": made_up, "password": "example-1234", "token": "[redacted:github-token]", "x": MARKED}
    assert turn.tool_calls[0].arguments == stays
    assert "example1" not in turn.text
    said, heard_of = inventor.heard[0].messages
    assert said.parts == (ToolCall("1", "run_command", stays),)
    assert "example1" not in repr(heard_of)


async def test_what_a_service_says_of_an_error_has_no_secret_in_it() -> None:
    class Angry(Parrot):
        async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
            raise Refused(f"the key {CANARY} is wrong; set another")
            yield

    [choice] = DiscreetCast(Cast.single(Angry(), "m"), REDACTOR).of("reviewer")
    with pytest.raises(Refused, match=r"the key \[redacted:OPS\] is wrong"):
        await heard(choice.driver)


async def test_events_leave_without_secrets() -> None:
    said: list[object] = []

    class Ear:
        async def facts(self, facts: object) -> None:
            said.append(facts)

        def progress(self, event: object) -> None:
            said.append(event)

    announcer = DiscreetAnnouncer(Ear(), REDACTOR)
    event = AgentMessage(id="1", workflow_id="wf", agent="developer", content=CANARY)
    await announcer.facts([event])
    announcer.progress(event)
    assert CANARY not in repr(said)
    assert repr(said).count(MARKED) == 2


async def test_objects_are_kept_without_secrets_and_their_claims_fit(tmp_path: Path) -> None:
    objects = DiscreetObjects(FolderObjects(tmp_path / "objects"), REDACTOR)
    (tmp_path / "file").write_text(f"filed {CANARY}")
    large = b"x" * 70_000 + CANARY.encode()
    for claim in (await objects.put("a", f"put {CANARY}".encode()), await objects.put_file("a", tmp_path / "file")):
        assert CANARY.encode() not in await objects.get(claim)
    await objects.write("b", large)
    assert await objects.read("b") == b"x" * 70_000 + MARKED.encode()
    assert not [file for file in (tmp_path / "objects").rglob("*") if file.is_file() and CANARY in file.read_text()]


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@e.invalid", *words], cwd=folder, check=True)


@pytest.fixture
async def tree(tmp_path: Path) -> Tree:
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "settings.ini").write_text("user = ada\npassword = n0t-for-models\n")
    _git(origin, "init", "-q", "-b", "main")
    _git(origin, "add", "-A")
    _git(origin, "commit", "-q", "-m", "first")
    return await open_tree(f"file://{origin}", "", "work", tmp_path / "here")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("write_file", {"path": "settings.ini", "content": "user = bob\npassword = [redacted:password]\n"}),
        ("edit_file", {"path": "settings.ini", "old": "ada\npassword = [redacted:password]", "new": "bob"}),
        ("run_command", {"command": "echo 'password = [redacted:password]' > settings.ini"}),
    ],
)
async def test_a_placeholder_is_never_written(tree: Tree, tool: str, arguments: dict[str, str]) -> None:
    before = (tree.root / "settings.ini").read_bytes()
    answer = await Toolbox(WRITING, tree).use(ToolCall("1", tool, arguments))
    assert not answer.ok
    assert "placeholder for a secret that you were not shown" in answer.content
    assert (tree.root / "settings.ini").read_bytes() == before


async def test_what_stands_around_a_secret_can_be_changed(tree: Tree) -> None:
    box = Toolbox(WRITING, tree)
    answer = await box.use(
        ToolCall("1", "edit_file", {"path": "settings.ini", "old": "user = ada", "new": "user = bob"})
    )
    assert answer.ok, answer.content
    assert (tree.root / "settings.ini").read_text() == "user = bob\npassword = n0t-for-models\n"
    shown = await box.use(ToolCall("2", "run_command", {"command": "cat settings.ini"}))
    assert "password = [redacted:password]" in shown.content
    assert "n0t-for-models" not in shown.content


async def test_a_secret_of_ours_is_not_handed_in(tree: Tree) -> None:
    base = tree.base_commit
    assert await betrayed(tree, REDACTOR, base) == ""
    (tree.root / "new.txt").write_text(f"{CANARY}\n")
    (tree.root / "settings.ini").write_text("password = another-0ne\n")
    assert (await betrayed(tree, REDACTOR, base)).startswith("new.txt holds OPS: a secret that does not belong")
    await tree.commit("with it", base)
    assert (await betrayed(tree, REDACTOR, base)).startswith("new.txt holds OPS"), "it is our own commit that has it"


async def test_what_a_repository_held_before_is_its_owners_business(tree: Tree) -> None:
    (tree.root / "new.txt").write_text(f"{CANARY}\n")
    base = await tree.commit("with it", tree.base_commit)
    (tree.root / "new.txt").write_text(f"{CANARY}\nand more\n")
    assert await betrayed(tree, REDACTOR, base) == ""
    both = Redactor([("OPS", CANARY), ("OTHER", "another-canary-5d")])
    (tree.root / "new.txt").write_text(f"{CANARY}\nanother-canary-5d\n")
    assert (await betrayed(tree, both, base)).startswith("new.txt holds OTHER")


async def test_no_way_of_git_hides_a_secret_that_would_be_committed(tree: Tree) -> None:
    (tree.root / ".gitignore").write_text("hidden.txt\n")
    (tree.root / "hidden.txt").write_text("nothing\n")
    assert await betrayed(tree, REDACTOR, tree.base_commit) == ""
    (tree.root / "hidden.txt").write_text(f"{CANARY}\n")
    assert await betrayed(tree, REDACTOR, tree.base_commit) == "", "it is ignored, and no part of the change"
    _git(tree.root, "add", "-f", "hidden.txt")
    assert (await betrayed(tree, REDACTOR, tree.base_commit)).startswith("hidden.txt holds OPS")
    _git(tree.root, "update-index", "--skip-worktree", "hidden.txt")
    (tree.root / "hidden.txt").write_text("nothing\n")
    assert (await betrayed(tree, REDACTOR, tree.base_commit)).startswith("hidden.txt holds OPS")
    _git(tree.root, "rm", "-q", "-f", "--cached", "--sparse", "hidden.txt")
    (tree.root / "link").symlink_to(CANARY)
    assert (await betrayed(tree, REDACTOR, tree.base_commit)).startswith("link holds OPS")


async def test_half_a_secret_is_not_shown_either(tmp_path: Path) -> None:
    words = "x" * 40 + " " + "gh" + "p_" + "a1B2" * 9 + " " + "y" * 60
    command = ["/bin/sh", "-c", f"printf '%s' '{words}'"]
    for limit in range(90, 140, 6):
        ended: Exit = await spawn(command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, timeout=20, limit=limit)
        said = report(ended, 20)
        assert "p_" not in said, said
        assert "a1B2" not in said, said
