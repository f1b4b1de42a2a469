"""`bench profile`: hardware profiles, and one of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import JsonOption, consoles, guarded, print_json

profile = typer.Typer(
    name="profile",
    help="Hardware profiles: what a target can do and what it costs. `bench list profiles` names them.",
    no_args_is_help=True,
)


@profile.command("detect")
@guarded
def detect(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call it; else it is called as the CPU.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the peaks, or take those of the nearest profile.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Describe this machine as a profile: cores, instruction sets, measured peaks, bandwidth, overheads of runtimes.

    About half a minute on a quiet machine. Put the file in ./hardware_profiles to find it by its name.
    Exit codes: 0 done, 2 bad input or nothing to measure.
    """
    from bench.files import write_whole
    from bench.hardware.written import as_toml
    from bench.runner.detect import detect as look
    from bench.runner.detect import refuse_to_replace

    if output is not None:
        # Before it is measured, not after.
        refuse_to_replace(output, force=force)
    progress = consoles()[1]
    found = look(name, lambda text: progress.print(text, style="dim", markup=False), measure=measure)
    if output is None:
        typer.echo(as_toml(found), nl=False)
    else:
        write_whole(output, as_toml(found).encode())
        progress.print(f"{found.name} is in {output}", markup=False, soft_wrap=True)


@profile.command("show")
@guarded
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A name of `bench list profiles`, or a .toml file.")],
    json: JsonOption = False,
) -> None:
    """Every figure of a profile, with its source and date."""
    from bench.hardware.load import load_profile
    from bench.report.listing import draw
    from bench.report.profiles import document, heading, lines

    found = load_profile(name)
    if json:
        print_json(document(found))
        return
    output = consoles()[0]
    for line in heading(found):
        output.print(line, markup=False, highlight=False)
    output.print()
    draw(output, lines(found))


@profile.command("check")
@guarded
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A profile (.toml), or a name of `bench list profiles`.")],
) -> None:
    """Whether a profile is whole. Exit codes: 0 it is, 2 it is not, and what is wrong with it."""
    from bench.hardware.load import load_profile

    found = load_profile(file)
    typer.echo(f"{file}: a whole profile, {found.name} ({found.title})")
