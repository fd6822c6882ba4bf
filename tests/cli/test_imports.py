"""The start of the command: what it imports, and that the thin dependencies are enough for it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ..client.pretend_fleet import PretendFleet

_LISTED = """
import sys
from amelia_cli.main import main
try:
    code = main()
except SystemExit as ended:
    code = ended.code
print(code, *sys.modules, file=sys.stderr)
"""

_FILTERED = """
import sys
from importlib.abc import MetaPathFinder

class OnlyThin(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in {allowed}:
            return None
        raise ModuleNotFoundError(f"No module named {{name!r}} among the thin dependencies", name=name)

sys.meta_path.insert(0, OnlyThin())
from amelia_cli.main import main
sys.exit(main())
"""


def modules(*arguments: str) -> set[str]:
    ran = subprocess.run([sys.executable, "-c", _LISTED, *arguments], capture_output=True, text=True, check=True)
    code, *names = ran.stderr.splitlines()[-1].split()
    assert code == "0"
    return set(names)


def test_help_imports_click_and_nothing_else() -> None:
    ours = {name for name in modules("--help") if name.split(".")[0] in ("amelia", "amelia_cli")}
    assert ours == {"amelia_cli", "amelia_cli.main", "amelia_cli.edge", "amelia_cli.lazy"}
    heavy = {"msgspec", "yaml", "rich", "websockets", "asyncio", "http.client", "json", "subprocess", "pathlib"}
    click_alone = subprocess.run(
        [sys.executable, "-c", "import sys, click; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not (modules("--help") - set(click_alone.stdout.split())) & heavy


@pytest.mark.usefixtures("fleet")
def test_a_list_needs_neither_yaml_nor_rich_nor_websockets() -> None:
    unneeded = {"yaml", "rich", "websockets", "asyncio", "subprocess", "httpx", "amelia.profiles"}
    assert not modules("workflows", "list") & unneeded


def thin_dependencies() -> set[str]:
    """Import names of what ``pip install amelia`` brings, with what that needs."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requires("amelia") or () if "extra ==" not in text]
    while waiting:
        needed = waiting.pop()
        if needed.name in found or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        found.add(needed.name)
        try:
            waiting += [Requirement(text) for text in requires(needed.name) or ()]
        except PackageNotFoundError:
            continue
    named = {"pyyaml": {"yaml", "_yaml"}, "markdown-it-py": {"markdown_it"}}
    return set().union(*(named.get(name.lower(), {name.replace("-", "_")}) for name in found), {"amelia", "amelia_cli"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["start", "--help"],
        ["workflows", "list"],
        ["workflows", "show", "ID"],
        ["workflows", "logs", "ID"],
        ["start", "issue.md", "--remote", "--wait", "--settings", "settings.amelia.yaml"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("repository")
def test_the_thin_dependencies_are_enough_for_a_remote_fleet(fleet: PretendFleet, arguments: list[str]) -> None:
    Path("settings.amelia.yaml").write_text("profiles: {default: {max_iterations: 2}}")
    fleet.starts_as = {"status": "completed"}
    workflow_id = fleet.add().id
    words = [workflow_id if word == "ID" else word for word in arguments]
    program = _FILTERED.format(allowed=sorted(thin_dependencies()))
    ran = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.usefixtures("repository")
def test_working_here_without_its_packages_says_which_to_install() -> None:
    program = _FILTERED.format(allowed=sorted(thin_dependencies()))
    ran = subprocess.run(
        [sys.executable, "-c", program, "start", "issue.md"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "pip install 'amelia[local]'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
