"""SQL over all runs of a folder. Nothing is read before it is asked for, and no more of it than the answer needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from bench.errors import UserError, unknown
from bench.store import parquet
from bench.store.atomic import write_through
from bench.store.baselines import FOLDER as BASELINES
from bench.store.formula import MARK, STARTS, defused
from bench.store.manifest import NAME, Manifest, read_manifest
from bench.store.runs import list_runs
from bench.store.tables import CASES, LATENCIES, SCHEMAS, TELEMETRY

FILES = {"cases": CASES, "latencies": LATENCIES, "telemetry": TELEMETRY}
"""Tables that lie in a file of each run, by the word that names them in a query; `runs` is the fourth."""
RUN_ID = "run_id"
RUNS: dict[str, Any] = {
    RUN_ID: pl.String,
    "created": pl.String,
    "status": pl.String,
    "suite": pl.String,
    "cases": pl.Int64,
    "profile": pl.String,
    "command": pl.String,
    "cpu_model": pl.String,
    "architecture": pl.String,
    "cores": pl.Int64,
    "memory_bytes": pl.Int64,
    "gpus": pl.String,
    "governor": pl.String,
    "virtualisation": pl.String,
    "kernel": pl.String,
    "system": pl.String,
    "python": pl.String,
    "counterpoise": pl.String,
    "onnxruntime": pl.String,
    "ai_edge_litert": pl.String,
    "openvino": pl.String,
    "tensorflow": pl.String,
    "notes": pl.List(pl.String),
}
"""Columns of the table `runs`: a row a run. `created` is ISO 8601, so that it sorts; `cases` counts those asked for;
packages hold their version."""
T = TypeVar("T")
_PACKAGES = ("counterpoise", "onnxruntime", "ai-edge-litert", "openvino", "tensorflow")
# SQL cannot look into JSON text: what is asked for most often has a column of its own.
_EXTRACTED = {
    "reason": pl.col("failure").str.json_path_match("$.reason"),
    "scope": pl.col("facts").str.json_path_match("$.scope"),
    "artifact_sha256": pl.col("artifact").str.json_path_match("$.sha256"),
}
_READING = frozenset({"SELECT", "WITH", "FROM", "VALUES", "EXPLAIN", "SHOW"})
# White space, comments and brackets may stand before the first word.
_FIRST_WORD = re.compile(r"(?:\s+|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
# polars sorts for these in memory, where keys as text take most of the room: 100 million rows twice as much as numbers.
_IN_MEMORY = re.compile(r"\b(?:median|quantile\w*)\s*\(", re.IGNORECASE)
# Functions of polars that read any file or address in place of a table, such as `read_csv('…')`. Before the bracket may
# stand white space or a comment. That it is refused in quoted text too is the price of not parsing SQL here.
_READS_FILES = re.compile(r"""\b(read_\w+)["`]?\s*(?:\(|--|/\*)""", re.IGNORECASE)
# polars goes as deep as operators stand in a row: from about a thousand on it takes minutes, or crashes.
_OPERATOR = re.compile(
    r"[-+*/%|&^<>=!~:]+|\b(?:AND|OR|XOR|NOT|IS|IN|LIKE|ILIKE|BETWEEN|UNION|EXCEPT|INTERSECT|JOIN)\b", re.IGNORECASE
)
_MOST_OPERATORS = 500
_STARTS = "".join(re.escape(start) for start in STARTS if not start.isspace())
_FORMULA = rf"^\s*[{_STARTS}]|^[\t\r\n]"
# What a terminal or a spreadsheet does not show as text (see `bench.report.changes.plain`); line breaks are quoted.
_UNPRINTABLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte."""
_TABLES = ", ".join([*FILES, "runs"])
_HELP = f"tables: {_TABLES}; `SELECT * FROM cases LIMIT 1` shows the columns of one"


@dataclass(frozen=True)
class Query:
    """A question that has not been answered yet.

    `plans` give the same answer; the last one always does, those before it with less memory or not at all. `left_out`
    says which runs could not be read, and why. `results` is the folder of the runs.
    """

    plans: tuple[pl.LazyFrame, ...]
    left_out: tuple[str, ...]
    results: Path

    def collect(self, most: int | None = None) -> pl.DataFrame:
        """The answer, its first `most` rows where that is given. Raises `UserError` where the query cannot be done."""
        return self._done(lambda lazy: (lazy if most is None else lazy.head(most)).collect(engine="streaming"))

    def write(self, path: Path) -> None:
        """The whole answer as `.parquet` or `.csv`, written as it is made.

        A CSV has the fields of structs as columns, and no text that a spreadsheet takes for a formula.

        Raises:
            UserError: the query cannot be done, the file's name ends in something else, or it would lie in a run or
                baseline.
        """
        writers: dict[str, Callable[[pl.LazyFrame, IO[bytes]], object]] = {
            ".parquet": lambda lazy, file: lazy.sink_parquet(file, compression="zstd"),
            ".csv": lambda lazy, file: _flat(lazy).sink_csv(file),
        }
        suffix = path.suffix.lower()
        if suffix not in writers:
            raise unknown("kind of file", path.suffix or path.name, writers, where="-o")
        baselines = (self.results / BASELINES).resolve()
        if any((above / NAME).is_file() or above == baselines for above in path.resolve().parents):
            raise UserError(
                "that folder is a run's or a baseline's, which queries only read",
                where=str(path),
                remedy="write elsewhere",
            )
        write = writers[suffix]
        # A file for each plan: Polars may still write to that of one which failed.
        self._done(lambda lazy: write_through(path, lambda file: write(lazy, file)))

    def csv(self) -> str:
        """The whole answer as CSV, as `write` has it. Raises `UserError` where the query cannot be done."""
        return self._done(lambda lazy: _flat(lazy).collect(engine="streaming").write_csv())

    def _done(self, do: Callable[[pl.LazyFrame], T]) -> T:
        """What comes of the first plan that can be done."""
        for lazy in self.plans[:-1]:
            with suppress(PolarsError, PanicException):
                return do(lazy)
        with _told():
            return do(self.plans[-1])


def ask(results: Path, sql: str) -> Query:
    """Understand a query over the tables of all runs in `results`.

    The tables are `cases`, `latencies` and `telemetry`, as each run keeps them (see `bench.store.tables`), and `runs`
    (see `RUNS`). In all of them `run_id` is the name of the run's folder. A column that an older run does not have is
    null there. `cases` has the columns `reason` (of a failure), `scope` (what the timed call covers) and
    `artifact_sha256` besides.

    Raises:
        UserError: there are no runs, the query does anything but read them, or it cannot be understood.
    """
    # Where the system's encoding is not UTF-8, bytes of the command line arrive as halves of surrogate pairs.
    sql = _NO_BYTE.sub("\N{REPLACEMENT CHARACTER}", sql).encode(errors="surrogateescape").decode(errors="replace")
    found = _FIRST_WORD.match(sql)
    word = found[1].upper() if found else ""
    if word not in _READING:
        raise UserError(
            f"a query only reads: it begins with SELECT or WITH, not with {word!r}" if word else "the query is empty",
            where="SQL",
            remedy=_HELP,
        )
    if reads := _READS_FILES.search(sql):
        raise UserError(
            f"a query reads the runs and no other file: there is no {reads[1]}(…)", where="SQL", remedy=_HELP
        )
    if sum(1 for _ in _OPERATOR.finditer(sql)) > _MOST_OPERATORS:
        raise UserError(
            f"the query has over {_MOST_OPERATORS} operators", where="SQL", remedy="ask for less at once, or use IN (…)"
        )
    folders = list_runs(results)
    if not folders:
        raise UserError(f"there are no runs in {results}", where="--out", remedy="make one with `bench run`")
    left_out: list[str] = []
    # A table that the text does not name cannot be in it, and opening the files of hundreds of runs takes time.
    tables = {name: _table(name, folders if name in sql.lower() else (), left_out) for name in FILES} | {
        "runs": _runs(folders if "runs" in sql.lower() else (), left_out)
    }
    plans = []
    if _IN_MEMORY.search(sql):
        with suppress(PolarsError, PanicException):
            plans.append(_understood(sql, {name: _narrow(table) for name, table in tables.items()}))
    with _told():
        plans.append(_understood(sql, tables))
    return Query(tuple(plans), tuple(dict.fromkeys(left_out)), results)


def _understood(sql: str, tables: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    lazy = pl.SQLContext(tables).execute(sql)
    lazy.collect_schema()  # an unknown column, too, is found before anything is read
    return lazy.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _narrow(table: pl.LazyFrame) -> pl.LazyFrame:
    """The table with the keys of its rows as small numbers; what does more than compare them needs the text."""
    return table.with_columns(pl.col("^(run_id|case_id)$").cast(pl.Categorical))


def _table(name: str, folders: Sequence[Path], left_out: list[str]) -> pl.LazyFrame:
    schema = SCHEMAS[FILES[name]]
    parts = [pl.LazyFrame(schema={RUN_ID: pl.String, **schema})]
    for folder in folders:
        path = folder / FILES[name]
        if not path.exists():
            continue
        try:
            part = parquet.typed(path, schema, ())
        except UserError as error:
            told = error.what.removeprefix("cannot read the table: ")
            left_out.append(f"{folder.name}: cannot read {path.name}: {told}")
            continue
        parts.append(part.with_columns(pl.lit(folder.name).alias(RUN_ID)))
    table = pl.concat(parts, how="diagonal_relaxed")
    return table.with_columns(**_EXTRACTED) if name == "cases" else table


def _runs(folders: Sequence[Path], left_out: list[str]) -> pl.LazyFrame:
    rows = []
    for folder in folders:
        try:
            rows.append(_run(folder, read_manifest(folder)))
        except UserError as error:
            left_out.append(f"{folder.name}: {error.what}")
    return pl.LazyFrame(rows, schema=RUNS)


def _run(folder: Path, manifest: Manifest) -> dict[str, Any]:
    machine = manifest.environment
    plain = ("cpu_model", "architecture", "memory_bytes", "governor", "virtualisation", "kernel", "system", "python")
    return {
        RUN_ID: folder.name,
        "created": manifest.created,
        "status": manifest.status,
        "suite": str(manifest.suite.get("name", "")),
        "cases": len(manifest.cases),
        "profile": (manifest.profile or {}).get("name"),
        "command": " ".join(manifest.command),
        "cores": len(machine.cores_usable),
        "gpus": ", ".join(machine.gpus),
        "notes": list(manifest.notes),
        **{name: getattr(machine, name) for name in plain},
        **{name.replace("-", "_"): machine.packages.get(name) for name in _PACKAGES},
    }


def _flat(lazy: pl.LazyFrame) -> pl.LazyFrame:
    """The answer in columns of text and numbers: fields of structs by name, lists of text in one cell."""
    schema = lazy.collect_schema()
    while any(isinstance(kind, pl.Struct) for kind in schema.values()):
        lazy = lazy.select(part for name, kind in schema.items() for part in _parts(name, kind))
        schema = lazy.collect_schema()
    return lazy.with_columns(
        _not_a_formula(pl.col(name).list.join("; ") if isinstance(kind, pl.List) else pl.col(name)).alias(name)
        for name, kind in schema.items()
        if kind in (pl.String, pl.List(pl.String))
    ).rename({name: defused(name) for name in schema})


def _parts(name: str, kind: pl.DataType) -> list[pl.Expr]:
    if not isinstance(kind, pl.Struct):
        return [pl.col(name)]
    return [pl.col(name).struct.field(field.name).alias(f"{name}_{field.name}") for field in kind.fields]


def _not_a_formula(text: pl.Expr) -> pl.Expr:
    shown = text.str.replace_all(_UNPRINTABLE, "\N{REPLACEMENT CHARACTER}")
    return pl.when(text.str.contains(_FORMULA)).then(pl.lit(MARK) + shown).otherwise(shown)


@contextmanager
def _told() -> Iterator[None]:
    """What polars says of a query, as a message: its first line, since the plan follows it."""
    try:
        yield
    except parquet.DAMAGED as error:
        raise UserError(f"the query cannot be done: {parquet.first_line(error)}", where="SQL", remedy=_HELP) from error
