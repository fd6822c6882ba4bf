"""Writes ``schemas/`` from the code: ``schemas.py [--check] [--to DIR]``. ``make schemas`` and ``make check`` call it.

JSON Schema of every message and view, of the settings and the conversation file; an example of each message; AsyncAPI;
OpenAPI, drawn from the api's own application without a database.
"""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec

from amelia.contract.export.asyncapi import asyncapi
from amelia.contract.export.examples import examples
from amelia.contract.export.messages import schemas
from amelia.contract.export.schema import closed, described, schema_of
from amelia.domain.crowd import Limits
from amelia.profiles import Document
from amelia_replay.conversation import Conversation

ROOT = Path(__file__).parent.parent


def documents() -> dict[str, bytes]:
    """Every file of the folder: its path in it, and its bytes."""
    made: dict[str, Any] = schemas()
    made["settings"] = closed(schema_of(Document))
    made["conversation"] = schema_of(Conversation)
    made["asyncapi"] = asyncapi(version("amelia"))
    made["openapi"] = openapi()
    made |= {f"examples/{name}": message for name, message in examples().items()}
    return {f"{name}.json": _text(document) for name, document in made.items()}


def openapi() -> dict[str, Any]:
    from amelia_api.app import create_app
    from amelia_api.depends import Caller

    nothing = cast(Any, None)
    caller = Caller(name="", team="")
    app = create_app(nothing, nothing, token="", caller=caller, allow_file=False, max_body_bytes=1, limits=Limits())
    document: dict[str, Any] = described(app.openapi_schema.to_schema())
    return document


def differing(made: dict[str, bytes], folder: Path) -> list[str]:
    """What is missing, out of date, or there without being made."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.json")}
    stale = [name for name, text in made.items() if name not in there or there[name].read_bytes() != text]
    return sorted({*stale, *(there.keys() - made.keys())})


def write(made: dict[str, bytes], folder: Path) -> list[str]:
    """Brings the folder to what was made; says which files that changed."""
    changed = differing(made, folder)
    for name in changed:
        path = folder / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[name])
        else:
            path.unlink()
    return changed


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="schemas.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something is out of date")
    parser.add_argument("--to", type=Path, default=ROOT / "schemas", metavar="DIR")
    given = parser.parse_args(arguments)
    made = documents()
    if not given.check:
        changed = write(made, given.to)
        print(f"{len(changed)} of {len(made)} files written to {given.to}")
        return 0
    stale = differing(made, given.to)
    for name in stale:
        print(f"{given.to.name}/{name} is not what the code says", file=sys.stderr)
    if stale:
        print("run 'make schemas' and commit what it changes", file=sys.stderr)
    return 1 if stale else 0


def _text(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
