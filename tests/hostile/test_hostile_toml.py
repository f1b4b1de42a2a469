"""Suites, hardware profiles, cards of models and descriptions of inputs: read, or refused with file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.rules import rules_of
from bench.export.recipes import Definition, recipes
from bench.hardware.load import load_profile
from bench.hardware.match import fits
from bench.hardware.stated import stated_peaks
from bench.hardware.written import as_toml as written
from bench.machine.environment import read_environment
from bench.suite.load import builtin_suites, load_suite
from bench.suite.schema import InputsFile
from bench.suite.validate import load_toml
from bench.zoo.card import load_cards
from tests.conftest import bench
from tests.hostile.spoiled import as_toml, damaged, few, spoiled, value_or_refusal

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "upgrade" / "v0.1.0"
SUITE = (KEPT / "suite.toml").read_bytes()
PROFILE = (ROOT / "hardware_profiles" / "generic-cpu.toml").read_bytes()
CARD = (ROOT / "models" / "mnist_cnn" / "model.toml").read_bytes()
INPUTS = b'[axes]\nn = 4\n[inputs.x]\nshape = [1, 4]\ndtype = "float32"\ngenerator = "uniform"\nrange = [0.0, 1.0]\n'


def read_suite(path: Path) -> None:
    """As `bench run` and `bench gate` read a suite."""
    suite = load_suite(str(path))
    own = {name: Definition(definition.base, definition.options) for name, definition in suite.variants.items()}
    value_or_refusal(lambda: recipes(own))
    value_or_refusal(lambda: rules_of(suite.gate, "gate"), "gate")
    suite.measure.plan(suite.seed)
    if suite.tune is not None:
        for values in suite.tune.space.values():
            values.fault(1)


def read_profile(path: Path) -> None:
    profile = load_profile(str(path))
    fits(read_environment(), {profile.name: profile})
    stated_peaks(profile, [1, 4])
    again = path.with_name("again.toml")
    again.write_text(written(profile), encoding="utf-8")
    assert load_profile(str(again)) == profile, "what is written of it reads as the same profile"


def read_card(path: Path) -> None:
    (path.parent / "model.py").touch()
    load_cards(path.parent)


def read_inputs(path: Path) -> None:
    load_toml(path, InputsFile, kind="description of inputs")


KINDS: dict[str, tuple[Callable[[Path], None], str, bytes]] = {
    "suite": (read_suite, "suite.toml", SUITE),
    "hardware profile": (read_profile, "generic-cpu.toml", PROFILE),
    "card of a model": (read_card, "mnist_cnn/model.toml", CARD),
    "inputs": (read_inputs, "inputs.toml", INPUTS),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[bytes], None], bytes]:
    """What reads a file with such content as that kind of document, and a valid content."""
    read, name, content = KINDS[request.param]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)

    def given_content(spoilt: bytes) -> None:
        path.write_bytes(spoilt)
        value_or_refusal(lambda: read(path), path.parent.name if path.parent != tmp_path else path.name)

    path.write_bytes(content)
    read(path)
    return given_content, content


@few(150)
@given(data=st.data())
def test_a_document_with_a_wrong_key_or_value_is_read_or_refused(
    kind: tuple[Callable[[bytes], None], bytes], data: st.DataObject
) -> None:
    read, content = kind
    read(as_toml(data.draw(spoiled(tomllib.loads(content.decode())))))


@few(60)
@given(data=st.data())
def test_a_document_with_wrong_bytes_is_read_or_refused(
    kind: tuple[Callable[[bytes], None], bytes], data: st.DataObject
) -> None:
    read, content = kind
    read(data.draw(damaged(content)))


AWKWARD: dict[str, bytes] = {
    "nothing": b"",
    "nesting without end": b"x = " + b"[" * 100_000,
    "tables without end": b"x = " + b"{a=" * 100_000,
    "a dotted key without end": b"a" + b".a" * 100_000 + b" = 1",
    "a number without end": b"seed = " + b"9" * 100_000,
    "a hexadecimal number without end": b"seed = 0x" + b"f" * 100_000,
    "a float without end": b"seed = 1." + b"9" * 100_000 + b"e999",
    "a day that is none": b"date = 2026-02-31",
    "a year 0": b"date = 0000-01-01T00:00:00Z",
    "a table twice": b"[measure]\nmin_s = 1\n[measure]\nmin_s = 2\n",
    "half a character": b'name = "\\ud800"',
    "a value without end": b"seed = '" + b"x" * 100_000 + b"'",
    "control characters": b'name = "a\x00b"',
    "latin-1": "name = 'é'".encode("latin-1"),
    "utf-16": "name = 'x'".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbfname = 'x'",
    "line ends of a Mac": b"name = 'x'\rseed = 1\r",
    "a megabyte of comment": b"#" + b"x" * 2**20,
}


@pytest.mark.parametrize("what", AWKWARD)
def test_awkward_content_is_read_or_refused(kind: tuple[Callable[[bytes], None], bytes], what: str) -> None:
    kind[0](AWKWARD[what])


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").mkdir()
    assert value_or_refusal(lambda: load_suite(str(tmp_path / "x.toml")), "x.toml") is None
    assert value_or_refusal(lambda: load_profile(str(tmp_path / "x.toml")), "x.toml") is None


@pytest.mark.parametrize("word", ["x" * 5_000, "x" * 5_000 + ".toml", ".", "/", "nan"])
def test_a_word_that_no_file_can_have_is_refused(word: str, tmp_path: Path) -> None:
    for command in (("run", word), ("run", "--model", word), ("cost", "latest", "--profile", word)):
        done = bench(*command, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_the_suites_that_come_with_it_are_read() -> None:
    assert all(load_suite(name).name for name in builtin_suites())
