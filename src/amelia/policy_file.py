"""The approval policy as a YAML file, read again when it changes.

otherwise: ask
rules:
  - name: documentation alone
    then: approve
    paths: ["docs/**", "*.md"]
    tasks: 5
"""

import logging
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import yaml

from .domain.policy import OPEN, Policy, Rule
from .errors import Refused

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
T = TypeVar("T")


class PolicyFile:
    """Called, it answers with the policy that the file holds now; without a file, with the one that approves what was
    started with ``auto_approve``. A file that becomes unreadable leaves the last policy in force, and is said so once.

    Raises ``Refused`` when the file does not fit at the beginning.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._stamp = _stamp(self._path) if self._path else None
        self._policy = read(self._path) if self._path else OPEN

    def __call__(self) -> Policy:
        if self._path is None:
            return self._policy
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._policy = read(self._path)
            except Refused as error:
                log.error("the last approval policy stays in force: %s", error)
            else:
                log.info("the approval policy %s was read again", self._path)
        return self._policy


def read(file: Path) -> Policy:
    """Raises ``Refused`` with the file, the key and what would have been right."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise Refused(f"{file}{line} is not YAML: {error.problem or error.context}; mend that line") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{file} is not YAML: {' '.join(str(error).split())[:200]}; write it anew") from error
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}; name a file that can") from error
    return _policy(file, {} if document is None else document)


def _policy(file: Path, document: Any) -> Policy:
    fields = _fields(file, "the policy", document, Policy)
    rules = fields.get("rules") or []
    if not isinstance(rules, list):
        _refuse(file, "rules", "it must be a list; begin each rule with a dash")
    for number, rule in enumerate(rules, 1):
        name = rule.get("name") if isinstance(rule, dict) else None
        known = f"rule {number}" + (f" ({name})" if isinstance(name, str) else "")
        _converted(file, known, _fields(file, known, rule, Rule), Rule)
    return _converted(file, "the policy", {**fields, "rules": rules}, Policy)


def _fields(file: Path, where: str, value: Any, kind: type[msgspec.Struct]) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(file, where, "it must be keys and values, one 'key: value' a line")
    for key in value:
        if key not in kind.__struct_fields__:
            near = get_close_matches(str(key), kind.__struct_fields__, n=1, cutoff=0.4)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(kind.__struct_fields__)}"
            _refuse(file, where, f"there is no key {key!r}; {meant}")
    return value


def _converted(file: Path, where: str, fields: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        key = path.rstrip("`").lstrip(".") or "it"
        _refuse(file, where, f"{key} does not fit: {said[:1].lower()}{said[1:]}")


def _refuse(file: Path, where: str, said: str) -> NoReturn:
    raise Refused(f"{file}, {where}: {said}")


def _stamp(file: Path) -> _Stamp | None:
    """None while there is no such file."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
