"""The command line: it reads a command, runs it, and says errors in one line."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from minisub.cli.options import parse_command
from minisub.common.files import MinisubError


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 2 for what the user can put right."""
    try:
        status = _perform(args)
        sys.stdout.flush()  # here, where a reader who has left is no error
        return status
    except MinisubError as error:
        print(f"minisub: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minisub: stopped; what is done is kept, the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `minisub list | head -1` is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # of files that are named in the options
        print(f"minisub: {error}", file=sys.stderr)
        return 2


def _perform(args: Sequence[str] | None) -> int:
    if list(sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"minisub {version('minisub')}")
        return 0
    command = parse_command(args)
    from minisub.cli.commands import COMMANDS  # torch and the rest: not for --help

    return COMMANDS[type(command)](command)


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"minisub: {message}", file=sys.stderr)


def entry() -> None:
    """Run the console script. What a terminal cannot show is shown as a code."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
