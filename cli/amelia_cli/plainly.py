"""YAML that people read: long texts as blocks, and nothing that could be read as another kind of value."""

import re
from typing import Any

import yaml

_ANOTHER_KIND = re.compile(r"(?i)[-+.\d].*|true|false|null|~|yes|no|on|off|y|n|")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text.replace("\n", "").isprintable() and not _ANOTHER_KIND.fullmatch(text)
    style = ("|" if "\n" in text else None) if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_of(document: dict[str, Any]) -> str:
    """Keys stay in their order."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=116)
