"""What every version wrote is read by this one, with the figures that it had; see README.md beside this file."""

from __future__ import annotations

import importlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.export.bundle import open_bundle
from bench.fleet.record import read_fleet
from bench.hardware.load import load_profile
from bench.store import journal
from bench.suite.load import load_suite
from bench.zoo.card import load_cards
from tests.conftest import bench

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parent
VERSIONS = sorted(path for path in HERE.iterdir() if path.name.startswith("v"))
KNOWN: dict[str, dict[str, Any]] = {path.name: json.loads((path / "known.json").read_text()) for path in VERSIONS}
"""What is known of the fixtures of each version: their schemas, names and figures."""
SCHEMAS = {
    "manifest": ("bench.store.manifest", "SCHEMA"),
    "row": ("bench.record.row", "SCHEMA"),
    "baseline": ("bench.store.baseline_file", "SCHEMA"),
    "transit": ("bench.store.transit", "SCHEMA"),
    "fleet": ("bench.fleet.record", "SCHEMA"),
    "bundle": ("bench.record.artifact", "BUNDLE_SCHEMA"),
}
"""Where the number of each schema stands. Messages between processes of one version are not kept and not here."""


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda path: path.name)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A working folder with all that a version has left, and what is known of it."""
    version: Path = request.param
    here = tmp_path_factory.mktemp(version.name)
    known = KNOWN[version.name]
    results = here / "results"
    shutil.copytree(version / known["run"], results / known["run"])
    shutil.copytree(version / "baselines", results / "baselines")
    for name in ("fleet.zip", "stopped.zip"):
        with zipfile.ZipFile(version / name) as packed:
            packed.extractall(results)
    for name in ("slim.zip", "bundle.zip", "suite.toml", "target.toml"):
        shutil.copy(version / name, here)
    shutil.copytree(version / "models", here / "models")
    return here, known


def asked(here: Path, *words: str, code: int = 0) -> Any:
    """The JSON that a command prints."""
    done = bench(*words, "--json", cwd=here)
    assert done.returncode == code, (words, done.stderr)
    return json.loads(done.stdout)


def test_show_has_every_figure_that_the_run_had(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    shown = asked(here, "show", known["run"])
    figures = {
        row["case"]["variant"] + " " + row["case"]["runtime"] + " " + row["case"]["scenario"]: {
            name: figure["value"] for name, figure in row["metrics"].items() if figure["value"] is not None
        }
        for row in shown["cases"]
    }
    assert figures.keys() == known["figures"].keys()
    for case, values in known["figures"].items():
        assert values.items() <= figures[case].items()


def test_list_shows_the_runs_and_the_fleet(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    listed = {line["run"]: line for line in asked(here, "list", "runs")}
    assert {known["run"], known["stopped"], known["fleet_run"]} <= listed.keys()
    assert known["fleet"] in bench("fleet", "list", cwd=here).stdout
    assert known["run"] in bench("baseline", "list", cwd=here).stdout


def test_compare_and_gate_take_the_run_and_its_baseline(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    found = asked(here, "compare", "baseline:main", known["run"])
    same = [change for change in found["changes"] if change["metric"] == "p50_latency"]
    assert len(same) == len(known["figures"])
    assert all(change["before"] == change["after"] for change in same)
    # A run that was measured for a moment has too few samples for the latency rules: not known, and nothing regressed.
    asked(here, "gate", "baseline:main", known["run"], "--max-regression", "size=0%", code=3)
    asked(here, "gate", "baseline:main", known["run"], "--suite", "suite.toml", code=3)


def test_the_report_and_the_other_readers_take_the_run(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    done = bench("report", known["run"], "-o", "report.html", cwd=here)
    assert done.returncode == 0, done.stderr
    assert known["run"] in (here / "report.html").read_text()
    asked(here, "history", "p50_latency")
    asked(here, "cost", known["run"], "--profile", "target.toml")
    asked(here, "roofline", known["run"], "--profile", "target.toml")
    asked(here, "pareto", known["run"])
    asked(here, "recommend", known["run"], "--profile", "target.toml", "--min-accuracy", "0.5")
    asked(here, "compare", known["fleet"], "--by", "target")


def test_query_reads_the_tables_with_all_of_their_samples(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    sql = "SELECT COUNT(*) AS n FROM {} WHERE run_id = '" + known["run"] + "'"
    for table, rows in known["rows"].items():
        assert asked(here, "query", sql.format(table)) == [{"n": rows}], table


def test_import_makes_the_rows_of_a_slim_run_anew(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    taken = asked(here, "import", "slim.zip", "--out", "imported")
    shown = asked(here, "show", "latest", "--out", "imported")
    p50 = {row["case"]["variant"]: row["metrics"]["p50_latency"]["value"] for row in shown["cases"]}
    assert p50 == known["slim_p50"], taken


def test_the_journal_of_a_stopped_run_still_holds_its_cases(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    seen = list(journal.read(here / "results" / known["stopped"]))
    assert {each.case.variant: len(each.samples.latency_ns) for each in seen if each.samples} == known["journal"]


def test_the_record_of_a_fleet_says_what_is_done(kept: tuple[Path, dict[str, Any]]) -> None:
    here, known = kept
    fleet = read_fleet(here / "results" / known["fleet"])
    assert fleet.status == "complete"
    assert fleet.runs == (known["fleet_run"],)
    assert fleet.done == {known["fleet_run"]: known["fleet_cases"]}
    assert sum(map(len, fleet.cells().values())) == known["fleet_cases"]


def test_bundle_suite_profile_and_card_are_read(kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    here, known = kept
    _, bundle = open_bundle(here / "bundle.zip", tmp_path)
    assert [artifact.variant for artifact in bundle.artifacts] == known["bundle"]
    suite = load_suite(str(here / "suite.toml"))
    assert (suite.name, suite.seed, suite.measure.tdp_w) == tuple(known["suite"])
    assert load_profile(str(here / "target.toml")).peak["fp32"].value == known["peak_fp32"]
    (model,) = (here / "models").iterdir()
    assert [card.label for card in load_cards(model)] == known["cards"]


@pytest.mark.slow
def test_a_bundle_of_then_is_measured_now(kept: tuple[Path, dict[str, Any]]) -> None:
    here, _ = kept
    done = bench("run", "bundle.zip", "--only", "fp32/onnxruntime-cpu", "--out", "now", cwd=here)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_up_to_this_one_is_kept_as_a_fixture(name: str) -> None:
    module, constant = SCHEMAS[name]
    now = getattr(importlib.import_module(module), constant)
    there = {known["schemas"][name] for known in KNOWN.values()}
    first = min(there)
    lacking = set(range(first, now)) - there
    assert not lacking, f"the schema of a {name} is {now}, and none of {sorted(lacking)} is kept: see README.md here"


def test_fixtures_say_of_themselves_which_schema_they_have() -> None:
    for version in VERSIONS:
        known = KNOWN[version.name]
        stated = known["schemas"]
        assert json.loads((version / known["run"] / "manifest.json").read_text())["schema"] == stated["manifest"]
        (baseline,) = (version / "baselines" / "main").glob("*.json")
        assert json.loads(baseline.read_text())["schema"] == stated["baseline"]
        for archive, member, name in (
            ("slim.zip", f"{known['slim']}/transit.json", "transit"),
            ("fleet.zip", f"{known['fleet']}/fleet.json", "fleet"),
            ("bundle.zip", "bundle.json", "bundle"),
        ):
            with zipfile.ZipFile(version / archive) as packed:
                assert json.loads(packed.read(member))["schema"] == stated[name], name
        assert sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) < 300_000, "small as promised"
