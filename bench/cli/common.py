"""What the commands share: errors to exit codes, consoles, JSON on standard output."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from bench.errors import UserError
from bench.optional import lacking
from bench.shown import shown

DONE, FAILED, BAD_INPUT, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130

P = ParamSpec("P")
R = TypeVar("R")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the runs.")]
TensorboardOption = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="Log the training of zoo models there for TensorBoard."),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-mismatch", metavar="KEY", help="Compare although the runs differ in this, and say so (repeatable)."
    ),
]
NormaliseOption = Annotated[
    str | None,
    typer.Option(
        "--normalise-by", metavar="CASE", help="Divide times, memory and energy by those of this case, in both runs."
    ),
]
InputsOption = Annotated[
    Path | None,
    typer.Option("--inputs", metavar="TOML", help="Descriptions of your model's inputs: tables axes and inputs."),
]
ModelsOption = Annotated[
    list[Path] | None, typer.Option("--models", metavar="DIR", help="Look for zoo models here first (repeatable).")
]
NoNetworkOption = Annotated[
    bool, typer.Option("--no-network", help="Models run without network, or not at all (Linux; see SECURITY.md).")
]

RunArgument = Annotated[str, typer.Argument(help="A run id, a unique start of one, a path, or latest.")]
ChoicesOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="GLOB", help="Only choices whose name matches (repeatable).")
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Hardware profile, or a .toml; default: the run's own machine."),
]
P99Option = Annotated[
    str | None, typer.Option("--max-p99", metavar="TIME", help="Within which 99 of 100 are answered: 10ms.")
]
HeadroomOption = Annotated[
    float | None,
    typer.Option("--headroom", metavar="SHARE", help="Share of its capacity that a replica keeps free; 0.3."),
]
SlotsOption = Annotated[
    int | None,
    typer.Option("--slots", metavar="N", min=1, help="Processes on a machine; default: one for each of its cores."),
]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose bad input is a message and exit code 2, and whose Ctrl-C is 130."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            fail(error)
        except ModuleNotFoundError as error:
            told = lacking(error)
            if told is None:
                raise
            fail(told)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                # `bench show | head`: the reader has seen enough.
                sys.stderr.close()
                raise typer.Exit(DONE) from None
            fail(
                UserError(
                    f"the system refused: {error.strerror or error}",
                    where=str(error.filename or ""),
                    remedy="check space and permissions there",
                )
            )
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def fail(error: UserError) -> NoReturn:
    """Print a clear message and leave with exit code 2."""
    # File names and what others say of them may hold codes that a terminal would obey.
    typer.echo("\n".join(map(shown, f"error: {error}".expandtabs(1).split("\n"))), err=True)
    raise typer.Exit(BAD_INPUT) from None


def refuse(given: Mapping[str, object], what: str) -> None:
    """Raise `UserError` where an option is given that does not belong."""
    extra = [name for name, value in given.items() if value]
    if extra:
        raise UserError(what, where=", ".join(extra), remedy="leave that out")


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    from bench.record.codec import json_bytes

    text = json_bytes(value).decode() + "\n"
    if not (sys.stdout.encoding or "utf-8").lower().startswith("utf"):
        # Only strings hold other characters, and JSON has an escape for each.
        text = "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    sys.stdout.write(text)


def consoles() -> tuple[Any, Any]:
    """Rich consoles for standard output and standard error."""
    from bench.report.safe import Screen

    out = Screen()
    # Without a terminal there is no width to fit: a file or a pipe gets every column.
    if not out.is_terminal:
        out = Screen(width=1_000)
    return out, Screen(stderr=True)
