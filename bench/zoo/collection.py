"""All that has files: data sets and ready weights, by name, and the fetching of several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import UserError, unknown
from bench.zoo.datasets import DATASETS
from bench.zoo.download import Progress
from bench.zoo.files import DataMissing, FileSet, can_be_fetched, fetch, locate, missing, notes
from bench.zoo.weights import WEIGHTS


@dataclass(frozen=True)
class Fetched:
    """What became of one set: where its files lie, or why they are not here."""

    name: str
    state: Literal["here", "fetched", "failed", "left out"]
    files: tuple[Path, ...] = ()
    reason: str | None = None
    notes: tuple[str, ...] = ()


def file_sets() -> dict[str, FileSet]:
    """Data sets and ready weights, by name."""
    return {**DATASETS, **WEIGHTS}


def fetch_several(names: Sequence[str], accept_terms: bool, progress: Progress) -> list[Fetched]:
    """Fetch what is named. One that fails does not keep the others from being fetched.

    Raises:
        UserError: an unknown name, terms that are not accepted, or a folder that cannot be written.
    """
    known = file_sets()
    for name in names:
        if name not in known:
            raise unknown("data set", name, known)
        if known[name].terms is not None and locate(known[name]) is None and not accept_terms:
            raise UserError(
                f"{known[name].title} has terms of use: {known[name].terms}",
                where=name,
                remedy="read them, and accept them with --accept-terms",
            )
    return [_fetched(known[name], progress) for name in dict.fromkeys(names)]


def fetch_all(accept_terms: bool, progress: Progress) -> list[Fetched]:
    """Fetch everything that has an address; what has terms is left out unless they are accepted.

    Raises:
        UserError: the folder of the downloads cannot be written.
    """
    return [_left_out(wanted, accept_terms) or _fetched(wanted, progress) for wanted in file_sets().values()]


def _left_out(wanted: FileSet, accept_terms: bool) -> Fetched | None:
    if locate(wanted) is not None:
        return None
    if not can_be_fetched(wanted):
        return Fetched(wanted.name, "left out", reason=str(missing(wanted)))
    if wanted.terms is not None and not accept_terms:
        return Fetched(wanted.name, "left out", reason=f"terms not accepted: {wanted.terms}")
    return None


def _fetched(wanted: FileSet, progress: Progress) -> Fetched:
    here = locate(wanted)
    try:
        # Whoever gets here has accepted the terms, where there are any.
        files = fetch(wanted, progress, accept_terms=True) if here is None else here
    except DataMissing as error:
        return Fetched(wanted.name, "failed", reason=str(error))
    state: Literal["here", "fetched"] = "fetched" if here is None else "here"
    return Fetched(wanted.name, state, tuple(files.values()), notes=tuple(notes(wanted)))
