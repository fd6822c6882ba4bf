"""Reads ``settings.amelia.yaml`` and says on which line something is wrong."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from .errors import Refused
from .profiles import Document, ProfileSettings


def read(file: Path) -> Document:
    """Raises ``Refused`` with the file, the line and the nearest thing that would have been right."""
    return _Reader(file).document()


_MERGE = "tag:yaml.org,2002:merge"
_S = TypeVar("_S", bound=msgspec.Struct)


class _Reader:
    def __init__(self, file: Path) -> None:
        self._file = file

    def document(self) -> Document:
        root = self._compose()
        if root is None:
            return Document()
        entries = self._entries(root, "the file", known=Document.__struct_fields__)
        profiles: dict[str, ProfileSettings] = {}
        if "profiles" in entries and not _is_null(entries["profiles"]):
            for name, node in self._entries(entries["profiles"], "profiles").items():
                profiles[name] = self._profile(name, node)
        active = self._scalar(entries["active_profile"], "active_profile", str) if "active_profile" in entries else ""
        return Document(active_profile=active, profiles=profiles)

    def _profile(self, name: str, node: Node) -> ProfileSettings:
        if _is_null(node):
            return ProfileSettings()
        return self._struct(node, f"profile {name!r}", ProfileSettings)

    def _struct(self, node: Node, what: str, kind: type[_S]) -> _S:
        hints = get_type_hints(kind, include_extras=True)
        entries = self._entries(node, what, known=kind.__struct_fields__)
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in entries:
                self._refuse(node, f"{what} has no {field.name!r}; add it")
        said = {
            key: value for key, value in entries.items() if not (_is_null(value) and _struct_in(_plain(hints[key])))
        }
        return kind(**{key: self._value(value, key, hints[key]) for key, value in said.items()})

    def _value(self, node: Node, key: str, hint: Any) -> Any:
        """Structs and lists of them key by key, so that what is wrong has its own line; all else as a whole."""
        plain = _plain(hint)
        kind = _struct_in(plain)
        if kind is None:
            return self._scalar(node, key, hint)
        if get_origin(plain) is tuple:
            if not isinstance(node, SequenceNode):
                self._refuse(node, f"{key} must be a list; begin each of its parts with a dash")
            return tuple(self._struct(item, f"{key}, part {n}", kind) for n, item in enumerate(node.value, 1))
        if kind is plain or isinstance(node, MappingNode):
            return self._struct(node, key, kind)
        return self._scalar(node, key, hint)

    def _entries(self, node: Node, what: str, known: tuple[str, ...] | None = None) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            self._refuse(node, f"{what} must be keys and values, one 'key: value' a line")
        entries: dict[str, Node] = {}
        merged = self._merged(node)
        for key_node, value in node.value:
            if key_node.tag == _MERGE:
                continue
            key = str(key_node.value)
            if known is not None and key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0.4)
                meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self._refuse(key_node, f"unknown key {key!r} in {what}; {meant}")
            if key in entries:
                self._refuse(key_node, f"{key!r} is there twice in {what}; keep one of them")
            entries[key] = value
        return {**{key: value for key, value in merged.items() if known is None or key in known}, **entries}

    def _merged(self, node: MappingNode) -> dict[str, Node]:
        """What ``<<`` takes over from another mapping; the own keys go before it."""
        taken = MappingNode(node.tag, [pair for pair in node.value if pair[0].tag == _MERGE], node.start_mark)
        if not taken.value:
            return {}
        loader = yaml.SafeLoader("")
        try:
            loader.flatten_mapping(taken)
        finally:
            loader.dispose()
        return {str(key.value): value for key, value in taken.value}

    def _scalar(self, node: Node, key: str, kind: Any) -> Any:
        value = _construct(node)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason = str(error)[:1].lower() + str(error)[1:]
            choices = _choices(kind)
            near = get_close_matches(str(value), choices, n=1, cutoff=0.4)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(choices)}" if choices else ""
            self._refuse(node, f"{key}: {value!r} does not fit, {reason}{meant}")

    def _compose(self) -> Node | None:
        try:
            text = self._file.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is not None:
                yaml.safe_load(text)
            return root
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark else ""
            said = " ".join(part for part in (error.context, error.problem) if part)
            raise Refused(f"{self._file}{line} is not YAML: {said}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Refused(f"{self._file} is not YAML: {' '.join(str(error).split())}") from error
        except RecursionError as error:
            raise Refused(f"{self._file} is not YAML: it is nested too deeply") from error
        except OSError as error:
            raise Refused(f"{self._file} cannot be read: {error.strerror}") from error

    def _refuse(self, node: Node, text: str) -> NoReturn:
        raise Refused(f"{self._file}:{node.start_mark.line + 1}: {text}")


def _plain(hint: Any) -> Any:
    """Without what is said about it."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """The struct that the hint is, or that it is one of or a list of."""
    kinds = (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type))
    return next((kind for kind in kinds if issubclass(kind, msgspec.Struct)), None)


def _construct(node: Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _is_null(node: Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _choices(kind: Any) -> tuple[str, ...]:
    """The words a literal type allows."""
    inspected = msgspec.inspect.type_info(kind)
    if isinstance(inspected, msgspec.inspect.Metadata):
        inspected = inspected.type
    found = inspected.types if isinstance(inspected, msgspec.inspect.UnionType) else (inspected,)
    words = (v for t in found if isinstance(t, msgspec.inspect.LiteralType) for v in t.values)
    return tuple(str(word) for word in words if word)
