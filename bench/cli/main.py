"""The command `bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench import __version__
from bench.cli.ab import ab
from bench.cli.baseline import baseline
from bench.cli.cache import cache
from bench.cli.compare import compare
from bench.cli.cost import cost
from bench.cli.doctor import doctor
from bench.cli.explain import explain
from bench.cli.export import export
from bench.cli.fetch import fetch
from bench.cli.fleet import fleet
from bench.cli.gate import gate
from bench.cli.history import history
from bench.cli.import_run import import_run
from bench.cli.listing import list_command
from bench.cli.pareto import pareto
from bench.cli.plot import plot
from bench.cli.profile import profile
from bench.cli.query import query
from bench.cli.recommend import recommend
from bench.cli.remote import remote
from bench.cli.report import report
from bench.cli.roofline import roofline
from bench.cli.run import run
from bench.cli.selftest import selftest
from bench.cli.serve import serve
from bench.cli.show import show
from bench.cli.tune import tune

EXAMPLES = """
[bold]Examples[/bold]

  bench run                              the suite "quick": one trained model, every variant, both runtimes

  bench run --model my.onnx --data my.npz    one's own model with its evaluation data

  bench show latest                      the table of the last run

  bench export mnist_cnn@digits --variants fp32,int8 -o digits.zip    a bundle for another machine

  bench doctor                           what this machine can measure, and what not
"""

app = typer.Typer(
    name="bench",
    help="Benchmark trained models across variants, runtimes and hardware: which gives what you need for the least?",
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"counterpoise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


app.command("run")(run)
app.command("show")(show)
app.command("explain")(explain)
app.command("compare")(compare)
app.command("gate")(gate)
app.command("history")(history)
app.command("cost")(cost)
app.command("roofline")(roofline)
app.command("pareto")(pareto)
app.command("report")(report)
app.command("plot")(plot)
app.command("query")(query)
app.command("serve")(serve)
app.command("recommend")(recommend)
app.command("tune")(tune)
app.command("list")(list_command)
app.command("export")(export)
app.command("fetch")(fetch)
app.command("remote")(remote)
app.command("import")(import_run)
app.add_typer(baseline)
app.add_typer(cache)
app.add_typer(fleet)
app.add_typer(profile)
app.command("ab")(ab)
app.command("doctor")(doctor)
app.command("selftest")(selftest)


def main() -> None:
    """Entry point of the console script."""
    app()
