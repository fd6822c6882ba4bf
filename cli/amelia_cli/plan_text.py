"""A plan as YAML that a person can edit, and back."""

from difflib import get_close_matches
from typing import Any

import click
import msgspec
import yaml

from amelia.contract.plan import Plan, Task
from amelia.domain.plan import check_plan
from amelia.errors import Refused

_HEAD: tuple[str, ...] = (
    "Save this and close the editor to take the plan as it stands here; close it unsaved to leave it as it was.",
    "A task is one commit. It begins when those it depends on are done, and ends when its verification exits with 0.",
)


class _Dumper(yaml.SafeDumper):
    """Text of several lines stands as such."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written(plan: Plan) -> str:
    """Every key of it, also where it is empty."""
    tasks = [{key: _plain(getattr(task, key)) for key in Task.__struct_fields__} for task in plan.tasks]
    document = {"summary": plan.summary, "test_command": plan.test_command, "tasks": tasks}
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def read(text: str) -> Plan:
    """Raises ``Refused`` with what is wrong: the line, the key, or the rule of plans that is broken."""
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506, RUF100 - makes nothing but text
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Refused(f"line {mark.line + 1 if mark else 1} is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Refused(f"this is not YAML: {' '.join(str(error).split())[:200]}") from error
    fields = _fields("the plan", document, Plan)
    if isinstance(fields.get("tasks"), list):
        fields["tasks"] = [_fields(f"task {n}", task, Task) for n, task in enumerate(fields["tasks"], 1)]
    try:
        plan = msgspec.convert(fields, Plan, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(f"the plan does not fit: {error}") from error
    check_plan(plan)
    return plan


def edited(plan: Plan) -> Plan | None:
    """What a person makes of it in ``$VISUAL`` or ``$EDITOR``; a plan with a mistake comes back with the reason. None
    when it is left as it was. Raises ``Refused`` when there is no editor."""
    text, said = written(plan), _HEAD
    while True:
        try:
            given = click.edit("".join(f"# {line}\n" for line in said) + text, extension=".yaml")
        except click.ClickException as error:
            raise Refused(f"{error.format_message()}; name another editor in EDITOR") from error
        if given is None:
            return None
        text = "".join(line for line in given.splitlines(keepends=True) if not line.startswith("#"))
        try:
            changed = read(text)
        except Refused as objection:
            said = (*_HEAD, f"It was not taken: {' '.join(str(objection).split())}")
            continue
        return None if changed == plan else changed


def _fields(where: str, value: Any, kind: type[msgspec.Struct]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{where} must be keys and values, one 'key: value' a line")
    known = kind.__struct_fields__
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.4)
            raise Refused(f"{where} has no key {key!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it"))
    empty = ("dependencies", "files", "estimate_minutes")
    return {key: item for key, item in value.items() if not (item == "" and key in empty)}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
