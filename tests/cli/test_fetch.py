"""`bench fetch` and `bench list datasets`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.zoo.datasets import DATASETS, DatasetSpec
from bench.zoo.files import DataFile
from tests.conftest import bench
from tests.https_server import serving

CONTENT = b"some data" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving(tmp_path, CONTENT) as served:
        monkeypatch.setenv("SSL_CERT_FILE", served.certificate)
        monkeypatch.setenv("no_proxy", "localhost")
        monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
        yield served


@pytest.fixture
def named(server, monkeypatch):
    """Gives the table only the sets that are made by this."""
    for name in list(DATASETS):
        monkeypatch.delitem(DATASETS, name)
    monkeypatch.setattr("bench.zoo.collection.WEIGHTS", {})

    def add(name, *, url=server.url, sha256=SHA256, terms=None):
        file = DataFile(f"{name}/file", url, sha256, len(CONTENT))
        monkeypatch.setitem(
            DATASETS,
            name,
            DatasetSpec(
                name=name, title=f"Set {name}", licence="CC0", files=((file,),), terms=terms, module="-", kind="image"
            ),
        )

    return add


def _run(*arguments):
    return CliRunner().invoke(app, arguments)


def _states(done):
    return {line["name"]: line["state"] for line in json.loads(done.stdout)}


def test_a_set_is_fetched_once_and_listed_as_downloaded(named, tmp_path):
    named("one")
    assert json.loads(_run("list", "datasets", "--json").stdout)[0]["here"] == "no: bench fetch one"
    done = _run("fetch", "one", "--json")
    assert done.exit_code == 0, done.output
    assert _states(done) == {"one": "fetched"}
    assert (tmp_path / "cache" / "data" / "one" / "file").read_bytes() == CONTENT
    assert _states(_run("fetch", "one", "--json")) == {"one": "here"}
    (line,) = json.loads(_run("list", "datasets", "--json").stdout)
    assert line == {"dataset": "one", "title": "Set one", "kind": "image", "licence": "CC0", "here": "yes: downloaded"}


def test_one_that_fails_does_not_stop_the_others_and_the_exit_code_is_1(named):
    named("bad", sha256="0" * 64)
    named("good")
    done = _run("fetch", "bad", "good", "--json")
    assert done.exit_code == 1
    assert _states(done) == {"bad": "failed", "good": "fetched"}
    assert "SHA-256" in done.stderr
    assert "bench fetch bad" in done.stderr


def test_terms_are_refused_until_they_are_accepted(named, server):
    named("with-terms", terms="be kind")
    named("without")
    done = _run("fetch", "without", "with-terms")
    assert done.exit_code == 2
    assert "be kind" in done.stderr
    assert not server.asked
    assert _states(_run("fetch", "with-terms", "--accept-terms", "--json")) == {"with-terms": "fetched"}


def test_all_leaves_out_what_has_terms_or_no_address(named):
    named("with-terms", terms="be kind")
    named("given-only", url=None)
    named("one")
    done = _run("fetch", "--all", "--json")
    assert done.exit_code == 0
    assert _states(done) == {"with-terms": "left out", "given-only": "left out", "one": "fetched"}
    assert "with-terms" in _run("fetch", "--all").stdout


def test_a_set_that_can_only_be_given_is_listed_with_where_to_put_it(named):
    named("given-only", url=None)
    (line,) = json.loads(_run("list", "datasets", "--json").stdout)
    assert line["here"].startswith("no: ")
    assert "given-only/file" in line["here"]
    assert _run("fetch", "given-only").exit_code == 1


def test_an_own_file_that_differs_is_listed_with_a_note(named, monkeypatch, tmp_path):
    named("one")
    own = tmp_path / "given" / "one" / "file"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "given"))
    (line,) = json.loads(_run("list", "datasets", "--json").stdout)
    assert line["here"].startswith("yes: in BENCH_DATA_DIR; ")
    assert "not the published file" in line["here"]


@pytest.mark.parametrize("arguments", [[], ["mnst"], ["mnist", "--all"]])
def test_names_or_all_and_names_that_exist(tmp_path: Path, arguments: list[str]) -> None:
    done = bench("fetch", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "bench list datasets" in done.stderr or "did you mean 'mnist'" in done.stderr


def test_every_data_set_and_all_weights_are_listed(tmp_path: Path) -> None:
    done = bench("list", "datasets", "--json", cwd=tmp_path)
    listed = {line["dataset"]: line for line in json.loads(done.stdout)}
    assert listed.keys() >= {*DATASETS, "mlperf-tiny-resnet", "mlperf-tiny-ad"}
    assert listed["digits-28x28"]["here"] == "yes: made or bundled"
    assert all(line["licence"] and line["here"].startswith(("yes", "no: ")) for line in listed.values())
    assert bench("list", "datasets", cwd=tmp_path).returncode == 0
