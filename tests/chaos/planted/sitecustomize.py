"""In a fleet started with this folder on ``PYTHONPATH`` and ``AMELIA_PLANTED=BUG``, every program has that bug.

``bugs/BUG.py`` names the ``MODULE`` it spoils and has ``plant(module)``, which is called when that has been imported.
What has to happen for the bug to show: ``FAILPOINTS``, ``WEATHER`` of the proxy, ``FAULTS`` of the AgentCore stand-in.
``CAUGHT_BY`` is how a violation begins that it must come to.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class _Planting(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, bug: ModuleType) -> None:
        self._loader = loader
        self._bug = bug

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._bug.plant(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, bug: ModuleType) -> None:
        self._bug = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._bug.MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Planting(spec.loader, self._bug)
        return spec


def _bug(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "bugs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if os.environ.get("AMELIA_PLANTED"):
    sys.meta_path.insert(0, _Finder(_bug(os.environ["AMELIA_PLANTED"])))
