import os
import subprocess
import sys
from pathlib import Path

TOLD = """
import sys, threading, os
opened = []
sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == "open" else None)
import amelia_runtime.app
assert threading.active_count() == 1, threading.enumerate()
assert not [p for p in opened if p.startswith(os.environ["HOME"])], opened
assert {"langgraph.graph", "anthropic", "openai", "boto3"} <= set(sys.modules)
"""


def test_importing_the_app_loads_what_a_session_needs_and_starts_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / ".aws" / "config")}
    subprocess.run([sys.executable, "-c", TOLD], env=environ, check=True)
