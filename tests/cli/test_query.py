"""`bench query`: SQL over the tables of all runs, and nothing but reading."""

from __future__ import annotations

import csv
import io
import json
import signal
from pathlib import Path

import polars as pl
import pytest

from bench.errors import UserError
from bench.record.metric import METRICS
from bench.store import query, tables
from bench.store.atomic import write_through
from bench.store.manifest import NAME
from bench.store.tables import CASES, LATENCIES
from tests.conftest import bench
from tests.kept_runs import ABSENT, SAMPLES, failed, keep, keep_small, observed, row_of

FIRST, SECOND = "20260101-000000-s-0000", "20260102-000000-s-0000"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with two runs of two measured cases and a failed one."""
    keep_small(tmp_path / "results", FIRST, 80.0)
    keep_small(tmp_path / "results", SECOND, 100.0)
    return tmp_path


def asked(work: Path, sql: str, *options: str) -> list[dict[str, object]]:
    done = bench("query", sql, "--json", *options, cwd=work)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def refused(work: Path, *arguments: str) -> str:
    done = bench("query", *arguments, cwd=work)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_figure_is_asked_for_by_its_field(work: Path) -> None:
    found = asked(work, "SELECT name, p50_latency.value AS p50, p50_latency.how FROM cases WHERE status = 'ok'")
    kept = {row.case.name: row.metrics["p50_latency"] for row in tables.read_cases(work / "results" / FIRST)}
    assert len(found) == 4
    first = next(line for line in found if line["name"] in kept)
    assert first["p50"] == kept[str(first["name"])].value
    assert first["how"] == kept[str(first["name"])].how


def test_every_table_names_the_run_by_its_folder_so_that_they_join(work: Path) -> None:
    (work / "results" / SECOND).rename(work / "results/renamed")
    found = asked(
        work,
        "SELECT r.run_id, r.suite, c.name, l.n FROM (SELECT run_id, case_id, COUNT(*) AS n FROM latencies"
        " GROUP BY run_id, case_id) AS l JOIN cases AS c USING (run_id, case_id) JOIN runs AS r USING (run_id)",
    )
    assert {(line["run_id"], line["suite"], line["n"]) for line in found} == {
        (FIRST, "s", SAMPLES),
        ("renamed", "s", SAMPLES),
    }


@pytest.mark.parametrize("key", ["run_id", "LEFT(run_id, 8)", "SUBSTR(run_id, 1, 8)"])
def test_quantiles_of_raw_latencies_are_those_of_the_file_whatever_is_done_to_the_keys(work: Path, key: str) -> None:
    sql = f"SELECT {key} AS k, MEDIAN(latency_ns) AS m FROM latencies WHERE run_id LIKE '20260102%' GROUP BY k"
    (found,) = asked(work, sql)
    assert found["m"] == pl.read_parquet(work / "results" / SECOND / LATENCIES)["latency_ns"].median()
    assert SECOND.startswith(str(found["k"]))
    (same,) = asked(
        work, f"SELECT {key} AS k, MEDIAN(latency_ns) AS m FROM latencies WHERE run_id = '{SECOND}' GROUP BY k"
    )
    assert same == found


def test_what_an_older_run_did_not_know_is_null_and_what_the_others_know_stays(work: Path) -> None:
    older = work / "results" / FIRST / CASES
    fewer = pl.read_parquet(older).drop("robustness", "why_not_faster")
    fields = ("value", "unit", "n", "how")
    fewer.with_columns(pl.struct(pl.col("size").struct.field(*fields)).alias("size")).write_parquet(older)
    (work / "results" / SECOND / CASES).unlink()
    found = asked(work, "SELECT robustness.value AS r, size.value AS s, size.low AS low FROM cases WHERE status = 'ok'")
    assert found == [{"r": None, "s": 2048.0, "low": None}] * 2


def test_every_figure_can_be_asked_for_even_where_no_run_has_it(tmp_path: Path) -> None:
    keep(tmp_path / "results", FIRST, [row_of(observed("fp32", 80.0))])
    (tmp_path / "results" / FIRST / CASES).unlink()
    assert asked(tmp_path, f"SELECT {', '.join(f'{name}.value AS {name}' for name in METRICS)} FROM cases") == []


def test_reasons_scope_and_artifact_are_columns_of_text(work: Path) -> None:
    assert asked(work, "SELECT DISTINCT reason FROM cases WHERE status = 'failed'") == [{"reason": "it crashed"}]
    assert asked(work, "SELECT DISTINCT scope, artifact_sha256 FROM cases WHERE status = 'ok'") == [
        {"scope": "session.run", "artifact_sha256": None}
    ]


def test_a_run_that_cannot_be_read_is_left_out_and_named(work: Path) -> None:
    (work / "results" / FIRST / CASES).write_bytes(b"PAR1 not really")
    (work / "results" / FIRST / NAME).write_text("{")
    done = bench("query", "SELECT DISTINCT run_id FROM cases", "--json", cwd=work)
    assert json.loads(done.stdout) == [{"run_id": SECOND}]
    assert f"left out: {FIRST}: cannot read cases.parquet" in done.stderr
    done = bench("query", "SELECT run_id FROM runs", "--json", cwd=work)
    assert json.loads(done.stdout) == [{"run_id": SECOND}]
    assert f"left out: {FIRST}: the manifest is damaged" in done.stderr


def test_people_get_a_table_with_figures_in_their_unit(work: Path) -> None:
    done = bench("query", f"SELECT name, size, p99_latency.n FROM cases WHERE run_id = '{FIRST}'", cwd=work)
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert [line[1:] for line in lines] == [["2.00 KiB", str(SAMPLES)]] * 2 + [["–", "0"]]


def test_only_the_first_rows_are_shown_and_that_is_said(work: Path) -> None:
    done = bench("query", "SELECT latency_ns FROM latencies", cwd=work)
    assert done.stdout.count("│") == 2 * 200
    assert "the first 200 rows" in done.stdout


def test_csv_has_fields_as_columns_and_no_formula(work: Path) -> None:
    row = row_of(observed("=1+1", 80.0, model="@SUM(1)"))
    keep(work / "results", "20260103-000000-s-0000", [row])
    done = bench("query", "SELECT model, variant, size, warnings FROM cases WHERE model <> 'm'", "--csv", cwd=work)
    (line,) = csv.DictReader(io.StringIO(done.stdout))
    assert (line["model"], line["variant"]) == ("'@SUM(1)", "'=1+1")
    assert (float(line["size_value"]), line["size_unit"], line["warnings"]) == (2048.0, "B", "")


@pytest.mark.parametrize("call", ["read_csv(", "READ_CSV (", '"read_parquet"(', "read_json/**/(", "read_ipc --\n("])
def test_a_query_reads_no_file_that_is_not_of_a_run(work: Path, call: str) -> None:
    secret = work / "secret.csv"
    secret.write_text("a\nhidden\n")
    told = refused(work, f"SELECT * FROM {call}'{secret}')", "--json")
    assert "a query reads the runs and no other file" in told
    assert asked(work, "SELECT COUNT(*) AS n FROM cases WHERE name LIKE '%read_csv%'") == [{"n": 0}]


def test_a_disk_that_refuses_is_not_the_fault_of_the_query(work: Path) -> None:
    (work / "blocked").write_text("a file")
    told = refused(work, "SELECT 1 AS a FROM runs", "-o", "blocked/x.csv")
    assert "cannot write there" in told
    assert "-o FILE" in told
    assert "SQL" not in told


def test_names_in_messages_cannot_steer_the_terminal(work: Path) -> None:
    (work / "results" / FIRST).rename(work / "results/a\x1b[31mred")
    (work / "results/a\x1b[31mred" / CASES).write_bytes(b"PAR1 not really")
    done = bench("query", "SELECT COUNT(*) AS n FROM cases", cwd=work)
    assert "left out: a\N{REPLACEMENT CHARACTER}[31mred: cannot read" in done.stderr
    assert "\x1b" not in done.stderr + refused(work, 'SELECT "\x1b[31m" FROM cases')


def test_a_csv_has_no_formula_in_wide_letters_headings_or_behind_white_space(work: Path) -> None:
    sql = "SELECT '＝1+1' AS \"=cmd\", '\n@x' AS b, ' -1' AS c, 'a\x1b[0m' AS d, 'a=b' AS e"
    assert bench("query", f"{sql} FROM runs LIMIT 1", "--csv", cwd=work).stdout == (
        "'=cmd,b,c,d,e\n'＝1+1,\"'\n@x\",' -1,a\N{REPLACEMENT CHARACTER}[0m,a=b\n"
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".CSV"])
def test_an_answer_is_written_to_a_file_whole(work: Path, suffix: str) -> None:
    done = bench("query", "SELECT run_id, latency_ns FROM latencies", "-o", f"x{suffix}", cwd=work)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
    assert read(work / f"x{suffix}").height == 4 * SAMPLES
    assert [path.name for path in work.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="there is no limit on the size of files")
def test_what_the_disk_refuses_is_no_fault_of_the_query_nor_of_a_table(work: Path) -> None:
    import resource

    frame = pl.DataFrame({"x": range(2_000)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = query.ask(work / "results", "SELECT a.start_ns FROM latencies a CROSS JOIN cases b")
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        for write in (
            lambda: big.write(work / "answer.parquet"),
            lambda: big.write(work / "answer.csv"),
            lambda: write_through(work / "table", frame.write_parquet),
        ):
            with pytest.raises(UserError, match="cannot write there: File too large"):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in work.iterdir()] == ["results"]


def test_a_plan_that_fails_midway_leaves_nothing_in_the_answer(work: Path) -> None:
    many = pl.LazyFrame({"x": range(500_000)})
    fails = pl.concat([many, pl.LazyFrame({"x": ["none"]}).select(pl.col("x").cast(pl.Int64))])
    query.Query((fails, pl.LazyFrame({"x": [1]})), (), work / "results").write(work / "answer.csv")
    assert (work / "answer.csv").read_text() == "x\n1\n"


def test_a_file_of_a_run_is_never_written_over(work: Path) -> None:
    target = work / "results" / FIRST / CASES
    before = target.read_bytes()
    for within in (target, target.parent / "profiles" / "x.parquet", work / "results/baselines/main/x.csv"):
        assert "that folder is a run's or a baseline's" in refused(work, "SELECT 1 AS a", "-o", str(within))
    assert target.read_bytes() == before
    assert "unknown kind of file '.txt'" in refused(work, "SELECT 1 AS a", "-o", "x.txt")


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE cases", "delete FROM cases", "TRUNCATE TABLE cases", "CREATE TABLE x AS SELECT 1", "INSERT INTO cases",
     "UPDATE cases SET name = 'x'", "/* SELECT */ DROP TABLE cases", "\n-- SELECT\nDROP TABLE cases", "1",
     "COPY cases TO 'x'"],
)  # fmt: skip
def test_what_does_not_read_is_refused(work: Path, sql: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    said = refused(work, sql)
    assert "a query only reads" in said or "the query is empty" in said
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nope FROM cases", 'unable to find column "nope"'),
        ("SELECT name FROM nope", "relation 'nope' was not found"),
        ("SELECT name FRM cases", "sql parser error"),
        ("SELECT name FROM cases; SELECT 1", "one (and only one) statement"),
        ("SELECT p50_latency.nope FROM cases", "nope"),
        ("", "the query is empty"),
    ],
)
def test_a_query_that_cannot_be_done_is_one_message_with_the_tables(work: Path, sql: str, said: str) -> None:
    told = refused(work, sql)
    assert said in told
    assert "cases, latencies, telemetry, runs" in told
    assert len(told.splitlines()) <= 3


def test_comments_and_brackets_may_stand_before_the_query(work: Path) -> None:
    assert asked(work, "\n-- a comment\n/* and\nanother */ (SELECT COUNT(*) AS n FROM cases)") == [{"n": 6}]
    assert asked(work, "WITH t AS (SELECT DISTINCT run_id FROM runs) SELECT COUNT(*) AS n FROM t") == [{"n": 2}]


def test_one_way_of_answering_is_taken_at_a_time(work: Path) -> None:
    assert "--json, --csv" in refused(work, "SELECT 1 AS a", "--json", "--csv")


def test_without_runs_the_remedy_is_to_make_one(tmp_path: Path) -> None:
    assert "`bench run`" in refused(tmp_path, "SELECT 1 AS a")


def test_an_absent_figure_is_null_with_its_reason(work: Path) -> None:
    found = asked(work, "SELECT DISTINCT energy.value, energy.how FROM cases WHERE status <> 'failed'")
    assert found == [{"value": None, "how": f"unavailable:{ABSENT}"}]


def test_the_page_of_the_documentation_says_what_works(tmp_path: Path) -> None:
    """Every query in docs/query.md is answered, and every column of `runs` is told of."""
    page = (Path(__file__).parents[2] / "docs/query.md").read_text()
    keep(tmp_path / "results", FIRST, [row_of(observed("fp32", 80.0)), failed("int8")], [observed("fp32", 80.0)])
    blocks = [block.partition("```")[0] for block in page.split("```sql\n")[1:]]
    assert len(blocks) > 4
    for block in blocks:
        asked(tmp_path, block)
    assert [name for name in query.RUNS if f"`{name}`" not in page] == []
