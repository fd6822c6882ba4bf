"""YAML as people expect it: only true and false are booleans, dates, 12:30 and 010 are text, no key comes twice."""

import re
from typing import Any

import yaml

Lines = dict[tuple[str | int, ...], int]
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


def parse(text: str) -> tuple[Any, Lines]:
    """The document and the line on which each part of it begins. Raises ``yaml.YAMLError``."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    lines: Lines = {}
    return (None if node is None else _value(node, (), lines)), lines


def _value(node: yaml.Node, path: tuple[str | int, ...], lines: Lines) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: tuple[str | int, ...], lines: Lines) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key has to be text", problem_mark=key.start_mark)
        if key.value in mapping:
            raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} comes twice", problem_mark=key.start_mark)
        lines[(*path, key.value)] = key.start_mark.line + 1
        mapping[key.value] = _value(value, (*path, key.value), lines)
    return mapping


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
