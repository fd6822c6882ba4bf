"""``python3 -m invoices FILE.json`` prints the report of an invoice."""

import sys
from pathlib import Path

from .model import load
from .report import report


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python3 -m invoices FILE.json", file=sys.stderr)
        return 2
    try:
        sys.stdout.write(report(load(Path(arguments[0]))))
    except (OSError, ValueError) as error:
        print(f"invoices: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
