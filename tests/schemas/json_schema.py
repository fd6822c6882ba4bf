"""As much of JSON Schema as the documents use. A keyword it does not know is an error, so nothing goes unchecked."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

_SAID = frozenset({"$schema", "$defs", "title", "description", "default"})
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def load(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())


class Schemas:
    """``root``: the folder whose documents refer to each other by relative path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def errors(self, name: str, value: Any) -> list[str]:
        """What the document ``name`` finds wrong with the value; nothing when it fits."""
        path = self._root / name
        return list(self._check(path, load(path), value, "$"))

    def _check(self, file: Path, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
        for keyword, wanted in schema.items():
            if keyword not in _SAID:
                yield from self._keyword(file, schema, keyword, wanted, value, at)

    def _keyword(
        self, file: Path, schema: Mapping[str, Any], keyword: str, wanted: Any, value: Any, at: str
    ) -> Iterator[str]:
        match keyword, value:
            case "$ref", _:
                yield from self._check(*self._follow(file, wanted), value, at)
            case "type", _:
                if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
                    yield f"{at}: {value!r} is no {wanted}"
            case "enum", _:
                if value not in wanted:
                    yield f"{at}: {value!r} is none of {wanted}"
            case "anyOf", _:
                tried = [list(self._check(file, branch, value, at)) for branch in wanted]
                if all(tried):
                    yield f"{at}: fits no branch: {tried}"
            case "properties", dict():
                for key in wanted.keys() & value.keys():
                    yield from self._check(file, wanted[key], value[key], f"{at}.{key}")
            case "required", dict():
                yield from (f"{at}: {key} is missing" for key in wanted if key not in value)
            case "additionalProperties", dict():
                for key in value.keys() - schema.get("properties", {}).keys():
                    if wanted is False:
                        yield f"{at}: {key} is not known"
                    elif isinstance(wanted, dict):
                        yield from self._check(file, wanted, value[key], f"{at}.{key}")
            case "items", list():
                for index, item in enumerate(value):
                    yield from self._check(file, wanted, item, f"{at}[{index}]")
            case "minItems", list():
                if len(value) < wanted:
                    yield f"{at}: has fewer than {wanted}"
            case "pattern", str():
                if not re.search(wanted, value):
                    yield f"{at}: {value!r} does not match {wanted}"
            case "minLength" | "maxLength" | "minimum" | "maximum", str() | int() | float():
                size = len(value) if isinstance(value, str) else value
                if (keyword.startswith("min") and size < wanted) or (keyword.startswith("max") and size > wanted):
                    yield f"{at}: {value!r} is beyond {keyword} {wanted}"
            case (
                "properties" | "required" | "additionalProperties" | "items" | "minItems" | "pattern" | "minLength"
                | "maxLength" | "minimum" | "maximum",
                _,
            ):  # fmt: skip
                pass
            case _:
                raise AssertionError(f"{file.name} uses {keyword}, which is not checked here")

    def _follow(self, file: Path, reference: str) -> tuple[Path, Any]:
        name, _, pointer = reference.partition("#")
        target = (file.parent / name).resolve() if name else file
        found = load(target)
        for part in filter(None, pointer.split("/")):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return target, found
