"""Secrets that lie in a repository: what its settings assign, so that it is known where it stands alone as well."""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from .known import in_file
from .shapes import assigned_in

_SETTINGS = re.compile(
    r"\.env(?:\..+)?|.+\.(?:env|ini|cfg|conf|properties|toml|tfvars|ya?ml|json)|"
    r"\.(?:npmrc|pypirc|netrc|pgpass)|(?:settings|config|secrets?|credentials)(?:\.\w+)?",
    re.IGNORECASE,
)
_KEYS = re.compile(r".+\.(?:pem|key|p8|ppk|asc)|id_(?:rsa|dsa|ecdsa|ed25519)")
_ASIDE = frozenset({".git", "node_modules", "vendor", ".venv", "venv", "dist", "build", "target"})
_MOST_FILES = 200
_LARGEST = 65_536
_SHORTEST = 10
_MOST_VALUES = 120


def in_worktree(root: Path) -> Iterator[tuple[str, str]]:
    """Kind and value, from files whose names are those of settings. What cannot be read holds none."""
    yield from islice(_values(root), _MOST_VALUES)


def _values(root: Path) -> Iterator[tuple[str, str]]:
    for path in _settings(root):
        try:
            if path.is_symlink() or path.stat().st_size > _LARGEST:
                continue
            text = path.read_text(errors="replace")
        except OSError:
            continue
        if _KEYS.fullmatch(path.name):
            yield from in_file("private-key", str(path)) if "PRIVATE KEY" in text else ()
            continue
        yield from ((name, value) for name, value in assigned_in(text) if len(value) >= _SHORTEST)


def _settings(root: Path) -> Iterator[Path]:
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _ASIDE)
        for name in sorted(names):
            if (_SETTINGS.fullmatch(name) or _KEYS.fullmatch(name)) and not name.endswith("lock.json"):
                count += 1
                if count > _MOST_FILES:
                    return
                yield Path(folder, name)
