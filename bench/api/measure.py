"""Measure the cases of a suite: what `bench run` does, from Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypedDict, Unpack

from bench.api.given import Named, Several, absolute, expanded, several, word
from bench.api.kept import Run
from bench.errors import UserError
from bench.hardware.load import is_path
from bench.report.files import write_summaries
from bench.runner import conduct
from bench.runner.events import Events
from bench.runner.plan import Request, plan_run
from bench.store.runs import find


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `run`: what is finished is kept, and is in `run`."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"stopped with {len(run.rows)} of {len(run.manifest.cases)} cases done; bench.load({run.id!r}) has them, "
            f"bench.run(resume={run.id!r}) goes on"
        )
        self.run = run


class Asked(TypedDict, total=False):
    """The arguments of `run` that say what is measured; a run that is resumed has them already."""

    suite: Named | None
    model: Several
    data: Named | None
    inputs: Named | None
    only: str | Iterable[str] | None
    models: Several
    seed: int | None
    profile: Named | None
    no_network: bool


def run(
    suite: Named | None = None,
    *,
    model: Several = None,
    data: Named | None = None,
    inputs: Named | None = None,
    only: str | Iterable[str] | None = None,
    models: Several = None,
    seed: int | None = None,
    profile: Named | None = None,
    no_network: bool = False,
    resume: Run | Named | None = None,
    out: Named = "results",
    tensorboard: Named | None = None,
    progress: bool | Events = True,
) -> Run:
    """Measure the cases of a suite, each in a fresh process, and keep them in a new folder in `out`.

    The current process trains, exports and measures nothing itself: children do, so that a script needs no
    `if __name__ == "__main__"` and a notebook keeps its memory. A case that fails is a row with its reason, not an
    exception.

    Args:
        suite: a suite's name, a suite file (.toml) or a bundle (.zip or folder); "quick" unless given.
        model: your own .onnx, .tflite, .keras, .h5, .pt2 or SavedModel, or a zoo name; one or several.
        data: evaluation data for `model`: an .npz of arrays x, y and, for int8, calibration.
        inputs: a TOML file that describes the inputs of `model`.
        only: globs; only cases whose name fits one, such as "*/int8/*".
        models: folders in which zoo models are looked for first.
        seed: of data, training and the order of cases.
        profile: a hardware profile of this machine by name or file: only its runtimes are measured.
        no_network: models run without network (Linux, where the kernel allows it; else nothing is run).
        resume: a stopped run to go on with, as `load` takes it; it stays what it was, so nothing above goes with it.
        out: folder of the runs.
        tensorboard: folder for the scalars of trainings.
        progress: True for a bar on a terminal and plain lines elsewhere, on standard error; False for none; or your
            own `bench.runner.events.Events`.

    Raises:
        UserError: bad input, or the disk refuses.
        Interrupted: Ctrl-C; what is finished is kept. Before the first case was measured it is a KeyboardInterrupt,
            and nothing is left.

    Example:
        >>> made = bench.run("quick", only="*/int8/*")  # doctest: +SKIP
        >>> made.to_polars().select("case", "p50_latency")  # doctest: +SKIP
    """
    asked: Asked = {
        "suite": suite,
        "model": model,
        "data": data,
        "inputs": inputs,
        "only": only,
        "models": models,
        "seed": seed,
        "profile": profile,
        "no_network": no_network,
    }
    scalars = None if tensorboard is None else expanded(tensorboard)
    with watching(progress) as events:
        if resume is not None:
            refuse_with_resume(asked)
            result = conduct.resume(find(word(resume), expanded(out)), events, tensorboard=scalars)
        else:
            result = conduct.start(plan_run(request(**asked)), expanded(out), events, tensorboard=scalars)
        made = Run(result)
        write_summaries(made.folder, made.manifest, made.rows)
    if made.manifest.status == "interrupted":
        raise Interrupted(made)
    return made


def planned(**asked: Unpack[Asked]) -> list[str]:
    """Names of the cases that `run` would measure, in their order; nothing is exported or written.

    Raises:
        UserError: bad input.
    """
    return [case.name for case in plan_run(request(**asked)).cases]


def request(**asked: Unpack[Asked]) -> Request:
    """What is asked for, with paths that also hold when the run is resumed from elsewhere."""
    return Request(
        suite=_absolute(str(asked.get("suite") or "quick")),
        models=tuple(_absolute(name) for name in several(asked.get("model"))),
        model_folders=tuple(str(expanded(folder).resolve()) for folder in several(asked.get("models"))),
        data=absolute(asked.get("data")),
        inputs=absolute(asked.get("inputs")),
        only=tuple(several(asked.get("only"))),
        seed=asked.get("seed"),
        profile=_profile(asked.get("profile")),
        no_network=asked.get("no_network", False),
    )


def refuse_with_resume(asked: Asked, *more: str) -> None:
    """A resumed run is what it was: nothing about it can be said anew. Raises `UserError`."""
    said = [name for name, value in asked.items() if value is not False and value not in (None, [], ())]
    options = ["SUITE" if name == "suite" else f"--{name.replace('_', '-')}" for name in said]
    if options or more:
        raise UserError(
            f"--resume goes on with the run as it was; it cannot take {', '.join((*options, *more))}",
            where="--resume",
            remedy="leave it out, or start a new run",
        )


@contextlib.contextmanager
def watching(progress: bool | Events) -> Iterator[Events]:
    """Who is told how it goes: a live view on standard error, nobody, or the caller's own."""
    if not isinstance(progress, bool):
        yield progress
        return
    from rich.console import Console

    from bench.report.live import Live

    # In a notebook, lines of a stream are one output; what is displayed would be an output each.
    terminal = None if progress else False
    console = Console(stderr=True, highlight=False, force_jupyter=False, force_terminal=terminal, quiet=not progress)
    with Live(console) as live:
        yield live


def _profile(given: Named | None) -> str | None:
    return absolute(given) if given is None or is_path(str(given)) else str(given)


def _absolute(name_or_path: str) -> str:
    """A path that also holds when the run is resumed from elsewhere; a name stays a name."""
    given = expanded(name_or_path)
    is_model_folder = any((given / mark).is_file() for mark in ("saved_model.pb", "model.toml", "bundle.json"))
    looks_like_path = given.suffix or len(given.parts) > 1 or given.is_file() or is_model_folder
    return str(given.resolve()) if looks_like_path else name_or_path
