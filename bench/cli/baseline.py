"""`bench baseline`: what later runs are held against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.common import JsonOption, OutOption, consoles, guarded, print_json

if TYPE_CHECKING:
    from bench.store.baselines import Promoted

baseline = typer.Typer(
    name="baseline",
    help="Baselines: small text files, kept in git, that later runs are held against.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the baseline.")]


@baseline.command("save")
@guarded
def save(
    name: NameArgument,
    run: Annotated[str, typer.Argument(help="A run id, a unique start of one, a path, or latest.")] = "latest",
    promote: Annotated[bool, typer.Option("--promote", help="Put it in force also where another one is.")] = False,
    out: OutOption = Path("results"),
) -> None:
    """Save the figures of a complete run; the first of a baseline is put in force."""
    from bench.store import baselines

    _tell(baselines.save(out, name, run, promote=promote))


@baseline.command("list")
@guarded
def list_baselines(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this baseline.")] = None,
    out: OutOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """List the saved snapshots, oldest first, and which is in force."""
    from bench.record.codec import plain
    from bench.report.listing import draw
    from bench.store.baselines import entries

    found = entries(out, name)
    if json:
        print_json(plain(found))
        return
    draw(
        consoles()[0],
        [
            {
                "baseline": entry.baseline,
                "snapshot": entry.snapshot,
                "in force": "yes" if entry.current else "",
                "cases": "" if entry.cases is None else str(entry.cases),
                "made": entry.created or f"unreadable: {entry.problem}",
            }
            for entry in found
        ],
    )


@baseline.command("promote")
@guarded
def promote(
    name: NameArgument,
    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT|RUN", help="A saved one, a unique start of it, or a run.")
    ],
    out: OutOption = Path("results"),
) -> None:
    """Put another snapshot in force; a run that is not saved yet is saved first."""
    from bench.store import baselines

    _tell(baselines.promote(out, name, snapshot))


@baseline.command("prune")
@guarded
def prune(
    name: NameArgument,
    keep: Annotated[int, typer.Option("--keep", metavar="N", min=0, help="Keep the newest N.")],
    out: OutOption = Path("results"),
) -> None:
    """Remove old snapshots, never the one in force."""
    from bench.store import baselines

    removed = baselines.prune(out, name, keep)
    for snapshot in removed:
        typer.echo(f"removed: {snapshot}")
    left = len(baselines.entries(out, name))
    typer.echo(f"{len(removed)} removed, {left} left")


def _tell(done: Promoted) -> None:
    if done.saved:
        typer.echo(f"saved: {done.path}")
    if done.current == done.snapshot:
        before = f" (before: {done.previous})" if done.previous not in {None, done.snapshot} else ""
        typer.echo(f"in force for {done.baseline}: {done.snapshot}{before}")
    else:
        typer.echo(f"still in force for {done.baseline}: {done.current}")
        typer.echo(f"`bench baseline promote {done.baseline} {done.snapshot}` puts this one in force")
