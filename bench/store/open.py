"""One word to figures: a run, a baseline, or a file of another tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.errors import Absent, UserError, unknown
from bench.store import baselines, runs
from bench.store.foreign import read_foreign
from bench.store.manifest import NAME
from bench.store.snapshot import Snapshot, read_run

PREFIX = "baseline:"


def open_snapshot(word: str, results: Path) -> Snapshot:
    """The figures that `word` names.

    A run (id, unique start of one, path, `latest`), `baseline:NAME` or the name of a saved baseline (its snapshot in
    force), or the path of a baseline's folder, of a saved snapshot, or of a pytest-benchmark or Google Benchmark JSON
    file, told apart by content. Raises `UserError` where it is none of them, more than one, or cannot be read.
    """
    if word.startswith(PREFIX):
        name, there = word.removeprefix(PREFIX), baselines.names(results)
        if name not in there:
            raise Absent(
                f"no baseline is named {name!r}",
                where=str(results),
                remedy=f"`bench baseline save NAME` makes one; there are: {', '.join(there) or 'none'}",
            )
        return baselines.current(results, name)
    meanings = _meanings(word, results)
    if len(meanings) > 1:
        raise UserError(
            f"{word!r} may mean {len(meanings)} things",
            where=str(results),
            remedy=f"say which: {', '.join(meanings)}",
        )
    for opened in meanings.values():
        return opened()
    if len(Path(word).parts) > 1:
        raise UserError("there is no such file or folder", where=word, remedy="check the path")
    known = [folder.name for folder in runs.list_runs(results)]
    kept = [f"{PREFIX}{name}" for name in baselines.names(results)]
    if not known and not kept:
        raise Absent(
            f"no run, baseline or file is named {word!r}: there is none in {results}",
            where=word,
            remedy="make a run with `bench run`, or give the path of a file",
        )
    latest = ["latest"] if known else []
    error = unknown("run, baseline or file", word, [*known, *latest, *kept], where=str(results))
    raise Absent(error.what, where=error.where, remedy=error.remedy)


def _meanings(word: str, results: Path) -> dict[str, Callable[[], Snapshot]]:
    """What `word` may mean, by the word that would mean only that."""
    found: dict[str, Callable[[], Snapshot]] = {}
    path = Path(word)
    there = {folder.name: folder for folder in runs.list_runs(results)}
    if (path / NAME).is_file():
        found[_as_path(path)] = lambda: read_run(path)
    elif (path / baselines.CURRENT).is_file():
        found[_as_path(path)] = lambda: baselines.current_in(path)
    elif path.is_file():
        found[_as_path(path)] = lambda: _read_file(path)
    if word == "latest":
        hits = list(there)[-1:]
    else:
        hits = [word] if word in there else [name for name in there if word and name.startswith(word)]
    for name in hits:
        folder = there[name]
        if not (path.exists() and folder.samefile(path)):
            found[name] = lambda folder=folder: read_run(folder)  # type: ignore[misc]
    if word in baselines.names(results):
        found[f"{PREFIX}{word}"] = lambda: baselines.current(results, word)
    return found


def _as_path(path: Path) -> str:
    return str(path) if path.is_absolute() or len(path.parts) > 1 else f"./{path}"


def _read_file(path: Path) -> Snapshot:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the file: {error.strerror}", where=str(path), remedy="check the path") from error
    return baselines.read_baseline(path) if baselines.is_baseline(content) else read_foreign(path)
