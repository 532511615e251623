"""What commands print: results on standard output, troubles on standard error. Rich honours NO_COLOR."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from worker.cli import exits

if TYPE_CHECKING:
    from rich.console import Console

#: Columns of a table that no terminal shows: a file or pipe has no width, and nothing should be cut there.
_PIPE_COLUMNS: Final = 160


def console() -> Console:
    """Return where tables go."""
    from rich.console import Console  # noqa: PLC0415 - `--help` must not wait for it

    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Console(highlight=False, width=width)


def says_lines() -> bool:
    """Say whether standard output is no terminal that can be drawn on: a file, a pipe, or a very plain one."""
    return not sys.stdout.isatty() or os.environ.get("TERM", "") in {"", "dumb", "unknown"}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """End well, and without a word, when whoever reads standard output has enough (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer has nowhere to go, at the interpreter's end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str = "") -> None:
    """Print a line for people; flushed, because a pipe's reader wants it now."""
    typer.echo(text)
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line about a trouble."""
    typer.echo(text, err=True)


def stop(text: str, code: int = exits.USAGE) -> NoReturn:
    """End the command with a line about the trouble, without a traceback."""
    complain(text)
    raise typer.Exit(code)


def count(number: int, noun: str) -> str:
    """Return `1 photo`, `2 photos`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time as people read it: `0:42`, `12:05`, `3:07:09`, `13 d 21 h`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 48:  # noqa: PLR2004 - two days
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def harmless(text: str) -> str:
    """Return text of other people without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
