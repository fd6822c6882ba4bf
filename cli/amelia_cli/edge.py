"""The edge of every command: whatever happened becomes one sentence on stderr and an exit code."""

import errno
import os
import sys
from collections.abc import Callable

import click

SUCCESS, FAILED, USAGE, NOT_SIGNED_IN, NOT_FOUND, CONFLICT, UNAVAILABLE = 0, 1, 2, 3, 4, 5, 7
INTERNAL, INTERRUPTED, PIPE_CLOSED = 70, 130, 141
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_streams() -> None:
    """A stream that was closed before we began is as good as ``/dev/null``; what is opened next must not be it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - until the end


def columns() -> int:
    """How wide the terminal is; 80 where there is none. Found without shutil, and not by click: both would import every
    compression there is."""
    said = os.environ.get("COLUMNS", "")
    try:
        return (int(said) if said.isdecimal() else 0) or os.get_terminal_size().columns or 80
    except OSError:
        return 80


def guard(arguments: list[str], run: Callable[[list[str]], object]) -> int:
    """The exit code of ``run(arguments)``, all of its errors told."""
    try:
        run(list(arguments))
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.UsageError as error:
        return _tell(arguments, "usage", USAGE, _usage(error))
    except (KeyboardInterrupt, click.Abort) as error:
        return _tell(arguments, "interrupted", INTERRUPTED, str(error) or "interrupted")
    except BrokenPipeError:
        _write_no_more()
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001, RUF100 - the last resort; a traceback is for AMELIA_DEBUG
        if isinstance(error, OSError) and error.errno in _FULL:
            _write_no_more()
            why = f"nothing more can be written: {error.strerror}; make room, or send the output elsewhere"
            return _tell(arguments, "refused", USAGE, why)
        return _error(arguments, error)
    return SUCCESS


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _error(arguments: list[str], error: Exception) -> int:
    from amelia import errors

    if os.environ.get("AMELIA_DEBUG"):
        import traceback

        from amelia.redaction import ours

        click.echo(ours().text("".join(traceback.format_exception(error))), err=True, nl=False)
    codes = {
        errors.Unauthorised: ("not signed in", NOT_SIGNED_IN),
        errors.NotFound: ("not found", NOT_FOUND),
        errors.Conflict: ("conflict", CONFLICT),
        errors.Refused: ("refused", USAGE),
        errors.Unavailable: ("unavailable", UNAVAILABLE),
        errors.Malformed: ("unavailable", UNAVAILABLE),
    }
    for kind, (name, code) in codes.items():
        if isinstance(error, kind):
            changes = "\n".join(getattr(error, "__notes__", [])) if kind is errors.Conflict else ""
            return _tell(arguments, name, code, str(error), changes)
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    again = "" if os.environ.get("AMELIA_DEBUG") else "; run again with AMELIA_DEBUG=1 for the traceback"
    return _tell(arguments, "internal", INTERNAL, f"internal error: {what}{again}")


def _usage(error: click.UsageError) -> str:
    said = error.format_message().strip().rstrip(".")
    where = error.ctx.command_path if error.ctx else "amelia"
    return f"{said[:1].lower() + said[1:]}; see {where} --help"


def _tell(arguments: list[str], kind: str, code: int, sentence: str, changes: str = "") -> int:
    """``changes`` are what a decision did not know of, as a diff."""
    from amelia.redaction import ours

    line, changes = ours().text(" ".join(sentence.split())), ours().text(changes)
    try:
        if wants_json(arguments):
            import json

            told = {"kind": kind, "exit_code": code, "detail": line, **({"changes": changes} if changes else {})}
            line = json.dumps({"error": told}, ensure_ascii=False)
        elif kind != "interrupted":
            line = f"amelia: {line}"
            if changes:
                from .printing import clean_block

                line = f"{clean_block(changes)}\n{line}"
        click.echo(line, err=True)
    except OSError:
        pass
    return code


def wants_json(arguments: list[str]) -> bool:
    """Seen without parsing, because what does not parse is told in JSON too."""
    return any(
        word == "--output=json" or (word == "--output" and arguments[place + 1 : place + 2] == ["json"])
        for place, word in enumerate(arguments)
    )
