"""What is typed on a command line: amounts, rules, definitions of variants, globs and SQL."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.analyse.rules import parse_word
from bench.cli import amounts
from bench.export.recipes import parse_definition, recipes
from bench.store.query import ask
from bench.zoo.find import find
from tests.conftest import bench
from tests.hostile.spoiled import few, value_or_refusal
from tests.kept_runs import keep_small

pytestmark = pytest.mark.timeout(120)

NUMBERS = ["1", "0", "-1", "1e3", "1e999", "nan", "inf", "٣", "9" * 400, "0x10", "1_000", "+5", ".5", "5.", "½", ""]
UNITS = ["ms", "s", "/s", "k/s", "%", "pt", "GB", "MiB", "d", "parsec", "µs", " ", "\0", "\n", "ms\n", "%%", ""]
AMOUNTS = ["".join(parts) for parts in product(["", "<=", ">=", "-", "+", "="], NUMBERS, UNITS)]


@pytest.mark.parametrize("read", [amounts.seconds, amounts.latency, amounts.rate, amounts.size])
def test_an_amount_is_a_number_or_refused(read: Callable[[str, str], float]) -> None:
    for text in AMOUNTS:
        found = value_or_refusal(lambda text=text: read(text, "--option"), "--option")  # type: ignore[misc]
        assert found is None or (math.isfinite(found) and found >= 0), text


@pytest.mark.parametrize("metric", ["p50_latency", "accuracy", "size", "throughput", "nan", ""])
@pytest.mark.parametrize("cases", ["", "[: ", "a/*: b: "])
def test_a_rule_of_the_gate_is_one_or_refused(metric: str, cases: str) -> None:
    for sign, text in product(["=", "<=", ">=", " == ", ""], AMOUNTS):
        word = f"{cases}{metric}{sign}{text}"
        rule = value_or_refusal(lambda word=word: parse_word(word, "--rule"), "--rule")  # type: ignore[misc]
        if rule is not None:
            assert math.isfinite(rule.limit), word
            rule.fits("m/int8/onnxruntime-cpu/t1/b1/single-stream")


@few(150)
@given(
    name=st.sampled_from(["own", "int8", "", "a/b", "..", "é", "\0", "\udcc0"]),
    base=st.sampled_from(["int8", "pruned", "fp32", "int4", "nothing", ""]),
    options=st.lists(
        st.tuples(
            st.sampled_from(["calibration", "sparsity", "percentile", "per_channel", "layers", "examples", "x", ""]),
            st.sampled_from(["=", "", "=="]),
            st.sampled_from([*NUMBERS, "true", "null", "[1]", "entropy", "\udcc0", "a,b", "NaN", "1e400"]) | st.text(),
        ).map("".join),
        max_size=3,
    ),
)
def test_a_defined_variant_is_a_recipe_or_refused(name: str, base: str, options: list[str]) -> None:
    def read() -> None:
        own, definition = parse_definition(f"{name}={','.join([base, *options])}")
        for value in recipes({own: definition}, where="--define")[own].options.values():
            assert not isinstance(value, float) or math.isfinite(value)

    value_or_refusal(read, "--define")


@few(60)
@given(st.text(max_size=30) | st.sampled_from(["mnist_cnn@", "mnist_cnn@digits,", "mnist_cnn@digits,width=nan"]))
@example("mnist_cnn@digits,width=" + "9" * 5_000)
@example("mnist_cnn@digits,width=1e999")
@example("~nobody/x.onnx")
def test_a_model_is_found_or_refused(word: str) -> None:
    value_or_refusal(lambda: find(word))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queried")
    keep_small(folder, "20260101-000000-a")
    return folder


PIECES = [
    *("SELECT", "*", "FROM", "cases", "runs", "latencies", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "ON"),
    *("name", "p50_latency.value", "p50_latency", "nothing", "1", "-1", "1e999", "'x'", "'", '"', "(", ")", ",", ";"),
    *("AND", "NOT", "NULL", "CASE WHEN", "END", "COUNT(*)", "SUM(name)", "CAST(name AS INT)", "1/0", "UNION ALL"),
    *("WITH a AS (SELECT 1)", "OVER (PARTITION BY name)", "--", "/*", "\0", "DROP TABLE cases", "LIKE '%'", "[", "::"),
    *("999999999999999999999999", "median(", "quantile(", "read_csv('/etc/passwd')", "INTERVAL '1 day'", "EXPLAIN"),
]


@few(120)
@given(words=st.lists(st.sampled_from(PIECES), max_size=10))
@example(["SELECT * FROM cases LIMIT -1"])
@example(["SELECT * FROM cases LIMIT 99999999999999999999999"])
@example(["SELECT " + "(" * 20_000 + "1"])
@example(["SELECT 1" + " + 1" * 20_000])
@example(["SELECT name FROM cases WHERE name = '\ud800'"])
@example(['SELECT "\0" FROM cases'])
@example(["SELECT name FROM cases ORDER BY 7"])
@example(["SELECT SUBSTR(name, -9223372036854775808, 9223372036854775807) FROM cases"])
@example(["SELECT name FROM cases WHERE name ~ '(a*)*b('"])
def test_a_query_is_answered_or_refused(results: Path, words: list[str]) -> None:
    sql = " ".join(words)
    found = value_or_refusal(lambda: ask(results, sql).collect(10), "SQL")
    assert found is None or isinstance(found, pl.DataFrame)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "linear_regression", "--only", "["),
        ("run", "--seed", "99999999999999999999999", "--dry-run"),
        ("run", "--seed", "-1", "--dry-run"),
        ("show", ""),
        ("show", "."),
        ("show", "*"),
        ("show", "--as", "nothing"),
        ("compare", "", ""),
        ("compare", "latest", "latest", "--only", "["),
        ("compare", "latest", "latest", "--normalise-by", "\x1b[31m"),
        ("gate", "latest", "latest", "--max-regression", "p50_latency=nan%"),
        ("recommend", "latest", "--min-accuracy", "nan"),
        ("recommend", "latest", "--traffic", "1e999/s"),
        ("recommend", "latest", "--traffic", "9" * 400 + "/s", "--max-p99", "1ms"),
        ("cost", "latest", "--traffic", "0/s"),
        ("cost", "latest", "--headroom", "nan"),
        ("cost", "latest", "--headroom", "-inf"),
        ("cost", "latest", "--slots", "99999999999999999999999999"),
        ("history", "nothing"),
        ("plot", "latest", "nothing"),
        ("plot", "latest", "pareto", "-o", "x.nothing"),
        ("cache", "gc", "--older-than", "99999999999999999999d"),
        ("cache", "gc", "--max-size", "1e999GB"),
        ("pareto", "latest", "--metrics", ","),
        ("explain", "latest", "["),
        ("query", "SELECT 1", "-o", "../../x.nothing"),
        ("baseline", "save", "../x", "latest"),
        ("import", "/dev/null"),
        ("remote", "/dev/null", "-o", "x.pyz"),
        ("export", "linear_regression", "--define", "=", "-o", "x.zip"),
        ("serve", "--port", "99999"),
        ("fleet", "run", "quick", "--scheduler", "nonsense://"),
        ("fleet", "run", "quick", "--scheduler", "tcp://[::1"),
        ("fleet", "run", "quick", "--scheduler", "tcp://localhost:99999"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_a_command_with_absurd_words_ends_with_a_message(words: tuple[str, ...], tmp_path: Path) -> None:
    keep_small(tmp_path / "results", "20260101-000000-a")
    done = bench(*words, cwd=tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 2, 3), (done.returncode, done.stderr)
    assert done.returncode != 2 or done.stderr
