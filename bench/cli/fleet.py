"""`bench fleet`: the same cases on many machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.common import (
    DONE,
    FAILED,
    INTERRUPTED,
    InputsOption,
    JsonOption,
    ModelsOption,
    NoNetworkOption,
    OutOption,
    consoles,
    guarded,
    print_json,
    refuse,
)
from bench.errors import UserError
from bench.shown import shown

if TYPE_CHECKING:
    from bench.fleet.secure import Tls
    from bench.runner.conduct import RunResult

fleet = typer.Typer(
    name="fleet",
    help="The same cases on many machines, each with its hardware target. On machines that you trust only.",
    no_args_is_help=True,
)

CaOption = Annotated[
    Path | None,
    typer.Option("--tls-ca-file", metavar="PEM", help="Certificate of the authority; Dask's own otherwise."),
]
CertOption = Annotated[Path | None, typer.Option("--tls-cert", metavar="PEM", help="Certificate of this process.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", metavar="PEM", help="Key of that certificate.")]
SchedulerOption = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="tls://host:port, or tcp:// here.")
]
LostOption = Annotated[
    float, typer.Option("--lost-after", metavar="S", min=1, help="A worker silent for so long is lost.")
]
FleetArgument = Annotated[str, typer.Argument(help="A fleet's id, a unique start of one, a path, or latest.")]


@fleet.command("run")
@guarded
def run(
    suite: Annotated[
        str | None, typer.Argument(help="A suite's name, a suite file (.toml) or a bundle. Default: quick.")
    ] = None,
    scheduler: SchedulerOption = ...,  # type: ignore[assignment]
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME", help="Only on these targets (repeatable); default: those there."),
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="FLEET", help="Go on with a stopped fleet.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="PATH", help="As in `bench run`.")] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="NPZ", help="As in `bench run`.")] = None,
    inputs: InputsOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="GLOB", help="Only cases of such names.")] = None,
    models: ModelsOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of data, training and order of cases.")] = None,
    no_network: NoNetworkOption = False,
    out: OutOption = Path("results"),
    wait: Annotated[
        float, typer.Option("--wait", metavar="S", min=0, help="How long to wait for a worker of a target.")
    ] = 60.0,
    lost_after: LostOption = 60.0,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a suite on the workers of a scheduler; a run folder for each machine.

    Exit codes: 0 done, 1 a case failed or was lost or is still to do, 2 bad input, 130 interrupted (what is finished
    is kept).
    """
    from bench.api.measure import request
    from bench.cli.signals import stop_like_ctrl_c
    from bench.fleet.link import DaskLink
    from bench.fleet.parent import Terms, resume_fleet, start_fleet
    from bench.hardware.load import is_path
    from bench.report.files import write_summaries
    from bench.report.live import Live
    from bench.store.fleets import find_fleet

    asked = {"suite": suite, "model": model, "data": data, "inputs": inputs, "only": only, "models": models}
    if resume is not None:
        given = {"SUITE" if name == "suite" else f"--{name}": value for name, value in asked.items()}
        refuse(
            given | {"--target": target, "--seed": seed, "--no-network": no_network},
            "--resume goes on with the fleet as it was",
        )
    for word in target or []:
        if is_path(word):
            raise UserError(
                f"{word!r} is a file",
                where="--target",
                remedy="give the name of the profile: the workers bring its content, see `bench fleet status`",
            )
    terms = Terms(wait_s=wait, lost_after_s=lost_after)

    def publish(each: RunResult) -> None:
        write_summaries(Path(each.folder), each.manifest, each.rows)

    with stop_like_ctrl_c(), Live(consoles()[1]) as live:
        stopped = find_fleet(resume, out) if resume is not None else None
        with DaskLink(scheduler, _tls(tls_ca_file, tls_cert, tls_key)) as link:
            if stopped is not None:
                made = resume_fleet(stopped, link, live, terms, publish)
            else:
                asked_for = request(**asked, seed=seed, no_network=no_network)  # type: ignore[arg-type]
                made = start_fleet(asked_for, target or [], link, out, live, terms, publish)
    _tell(Path(made.folder), json=json)
    if made.stopped:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if made.failed or made.fleet.status != "complete" else DONE)


@fleet.command("worker")
@guarded
def worker(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Of the scheduler: tls://host:port, or tcp:// here.")
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="Hardware profile, or a .toml; default: the best that fits."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call this worker.")] = None,
    machine: Annotated[
        str | None,
        typer.Option("--machine", metavar="NAME", help="Count as this machine: on one, cases go one at a time."),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="S", min=0, help="Give up when no scheduler answers for so long.")
    ] = 600.0,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Join a scheduler and measure what it hands out, one case at a time, until stopped.

    Exit codes: 0 stopped, 2 bad input, a name that is taken, or no scheduler.
    """
    from bench.fleet.crew import work

    tls = _tls(tls_ca_file, tls_cert, tls_key)
    work(address, _say, tls=tls, target=target, machine=machine, name=name, wait_s=wait)


@fleet.command("scheduler")
@guarded
def scheduler(
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")] = 8786,
    lost_after: LostOption = 60.0,
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Start a scheduler; its address is all that it prints. Beyond loopback only with TLS: by options, or by Dask's own
    configuration.

    Exit codes: 0 stopped, 2 bad input.
    """
    from bench.fleet.crew import schedule

    schedule(host, port, _print, tls=_tls(tls_ca_file, tls_cert, tls_key), lost_after_s=lost_after)


@fleet.command("local")
@guarded
def local(
    workers: Annotated[int, typer.Option("-n", "--workers", metavar="N", min=1, help="How many workers.")] = 1,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME", help="Targets of the workers, in turn (repeatable)."),
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")] = 0,
    apart: Annotated[
        bool,
        typer.Option("--apart", help="Each worker counts as a machine of its own; then the figures are worth nothing."),
    ] = False,
) -> None:
    """Start a scheduler and workers on this machine, for trial, and print the address.

    All workers are one machine, so cases still go one at a time: more workers give no more speed.

    Exit codes: 0 stopped, 2 bad input, or all workers have ended by themselves.
    """
    from bench.cli.signals import stop_like_ctrl_c
    from bench.fleet.local import run_local

    with stop_like_ctrl_c():
        run_local(workers, target or [], _print, port=port, apart=apart)


@fleet.command("status")
@guarded
def status(
    scheduler: SchedulerOption = ...,  # type: ignore[assignment]
    tls_ca_file: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """The workers of a scheduler: target, machine, and whether they can be used."""
    from bench.fleet.link import DaskLink
    from bench.fleet.roll import present
    from bench.report.listing import draw

    with DaskLink(scheduler, _tls(tls_ca_file, tls_cert, tls_key)) as link:
        found = present(link)
    if json:
        print_json(found)
    else:
        draw(consoles()[0], found)


@fleet.command("show")
@guarded
def show(word: FleetArgument = "latest", out: OutOption = Path("results"), json: JsonOption = False) -> None:
    """What a fleet has measured where, and what was lost."""
    from bench.store.fleets import find_fleet

    _tell(find_fleet(word, out), json=json)


@fleet.command("list")
@guarded
def list_fleets_command(out: OutOption = Path("results"), json: JsonOption = False) -> None:
    """The fleets in the folder of the runs."""
    from bench.fleet.summary import listed
    from bench.report.listing import draw
    from bench.store.fleets import list_fleets

    found = listed(list_fleets(out))
    if json:
        print_json(found)
    else:
        draw(consoles()[0], found)


def _tell(folder: Path, *, json: bool) -> None:
    from bench.fleet.record import as_it_is
    from bench.fleet.summary import document, lines, sentences
    from bench.report.listing import draw

    found = as_it_is(folder)
    if json:
        print_json({"folder": str(folder), **document(found)})
        return
    output = consoles()[0]
    draw(output, lines(found))
    for sentence in sentences(found):
        output.print(sentence, markup=False, soft_wrap=True)


def _tls(ca_file: Path | None, cert: Path | None, key: Path | None) -> Tls:
    from bench.fleet.secure import Tls

    return Tls(ca_file=ca_file, cert=cert, key=key)


def _say(message: str) -> None:
    typer.echo(shown(message), err=True)


def _print(message: str) -> None:
    typer.echo(shown(message))
