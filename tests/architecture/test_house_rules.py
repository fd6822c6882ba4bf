import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 300
NEVER = frozenset({"manager", "helper", "helpers", "util", "utils", "common", "misc", "process"})
BASE_IS_A_PROTOCOL = frozenset({"amelia.drivers.base", "amelia.memory.base"})

LONGER: dict[str, str] = {
    "src/amelia/adapters/postgres/transaction.py": "one transaction: its statements beside what they are given",
}
"""Files over 300 lines, each with why it is one noun all the same."""


def test_modules_are_named_for_what_they_are(modules: dict[str, Path]) -> None:
    for name in modules:
        words = set(name.replace("_", ".").split("."))
        assert not words & NEVER, f"{name}: find the noun that is hiding behind {words & NEVER}"
        assert "base" not in words or name in BASE_IS_A_PROTOCOL, f"{name}: base is for the driver and memory protocols"


def test_classes_and_functions_are_named_for_what_they_are(modules: dict[str, Path]) -> None:
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower().split("_"))
                assert not words & (NEVER - {"process"}), f"{name}: {node.name}"


def test_files_stay_short(modules: dict[str, Path]) -> None:
    long = {
        path.relative_to(ROOT).as_posix(): count
        for path in modules.values()
        if (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    unexplained = {path: count for path, count in long.items() if path not in LONGER}
    assert not unexplained, "split them, or say in LONGER why not"
    assert all((ROOT / path).exists() for path in LONGER)


def test_services_name_adapters_in_their_bootstrap_alone(modules: dict[str, Path]) -> None:
    for name, path in modules.items():
        package, _, rest = name.partition(".")
        if not package.startswith("amelia_") or package == "amelia_cli" or rest == "bootstrap":
            continue
        named = [module for module in imported(path) if module.startswith("amelia.adapters")]
        assert not named, f"{name} imports {named}; ask for a port and name the adapter in {package}.bootstrap"


def test_the_contract_needs_msgspec_alone(modules: dict[str, Path]) -> None:
    for name, path in modules.items():
        if name.startswith(("amelia.contract", "amelia.domain", "amelia.errors")):
            foreign = {module.partition(".")[0] for module in imported(path)} - {"amelia", "msgspec"}
            assert foreign <= sys.stdlib_module_names, f"{name} imports {foreign - sys.stdlib_module_names}"


def test_importing_connects_starts_and_writes_nothing(modules: dict[str, Path]) -> None:
    """Every module that we ship, in one fresh interpreter that refuses sockets, processes and writes."""
    code = (
        "import gc, importlib, sys\n"
        "gc.disable()\n"
        "def refuse(event, args):\n"
        "    writes = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')\n"
        "    if event in ('socket.connect', 'socket.bind', 'subprocess.Popen', 'os.mkdir', 'os.remove') or writes:\n"
        "        raise AssertionError(f'{event} {args[:2]} while importing')\n"
        "sys.addaudithook(refuse)\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "gc.freeze()\n"
    )
    names = [name for name in modules if ".migrations." not in name and not name.endswith("__main__")]
    done = subprocess.run([sys.executable, "-B", "-c", code, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_command_starts_without_what_it_does_not_need() -> None:
    heavy = "asyncpg aiobotocore boto3 botocore httpx langgraph litestar openai anthropic piccolo starlette uvicorn"
    code = (
        "import sys\n"
        "from amelia_cli.main import main\n"
        "sys.argv = ['amelia', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        f"sys.exit(' '.join(m for m in {heavy.split()} if m in sys.modules) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"amelia --help loads {done.stderr}"


def test_the_pins_name_versions_and_hashes_and_no_place_to_get_them() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    pins = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    assert pins
    assert len(re.findall(r"--hash=sha256:", lock)) >= len(pins)


def imported(path: Path) -> set[str]:
    """Modules that the file names, relative ones left out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
