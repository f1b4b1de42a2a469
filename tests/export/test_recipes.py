"""Variants of a user's own: a name, a built-in variant and options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.errors import UserError
from bench.export.artifact import file_name
from bench.export.recipes import Definition, Wanted, is_builtin, parse_definition, parse_definitions, recipes
from bench.export.variants import VARIANTS, OptionSpec
from bench.record.artifact import Recipe
from bench.suite.schema import Suite
from bench.suite.validate import validate

OPTIONS = {
    "method": OptionSpec("minmax", "how ranges are found", choices=("minmax", "entropy")),
    "percentile": OptionSpec(99.9, "what is kept", low=50, high=100),
    "per_channel": OptionSpec(True, "a scale a channel"),
    "block": OptionSpec(32, "elements a scale", low=1),
}


@pytest.fixture(autouse=True)
def a_variant_with_options(monkeypatch):
    monkeypatch.setitem(VARIANTS, "tuned", replace(VARIANTS["int8"], name="tuned", options=OPTIONS))


def _one(**options):
    return recipes({"mine": Definition("tuned", options)})["mine"]


def test_a_recipe_holds_every_option_with_its_default():
    assert recipes()["tuned"] == Recipe("tuned", {key: spec.default for key, spec in OPTIONS.items()})
    assert _one(method="entropy").options == {
        "method": "entropy",
        "percentile": 99.9,
        "per_channel": True,
        "block": 32,
    }


def test_a_whole_number_serves_where_a_number_is_wanted():
    assert _one(percentile=99).options["percentile"] == 99.0
    assert isinstance(_one(percentile=99).options["percentile"], float)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metod": "entropy"}, "did you mean 'method'"),
        ({"method": "entropi"}, "entropy"),
        ({"percentile": 101}, "50 to 100"),
        ({"block": 0}, "at least 1"),
        ({"per_channel": 1}, "true or false"),
        ({"block": 1.5}, "a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_key(options, said):
    with pytest.raises(UserError, match=r"variants\.mine") as caught:
        _one(**options)
    assert said in str(caught.value)


def test_a_builtin_name_keeps_its_meaning_and_a_base_must_exist():
    with pytest.raises(UserError, match="built-in"):
        recipes({"int8": Definition("int8")})
    with pytest.raises(UserError, match="int8"):
        recipes({"mine": Definition("int9")})


def test_two_recipes_under_one_name_never_share_a_file():
    usual, other = recipes()["tuned"], _one(block=64)
    assert is_builtin("tuned", usual)
    assert not is_builtin("mine", other)
    names = {file_name("m", Wanted(name, "onnx", recipe)) for name in ("tuned", "mine") for recipe in (usual, other)}
    assert len(names) == 4
    assert file_name("m", Wanted("tuned", "onnx", usual)) == "artifacts/m-tuned.onnx"


def test_a_definition_on_the_command_line_is_read_with_its_types():
    assert parse_definition("mine=tuned,method=entropy,percentile=99.5,per_channel=false,block=64") == (
        "mine",
        Definition("tuned", {"method": "entropy", "percentile": 99.5, "per_channel": False, "block": 64}),
    )


def test_a_value_may_be_a_list_with_commas():
    _, definition = parse_definition("mine=int8,exclude=conv_0,conv_1, dense_*,max_loss=0.1")
    assert definition == Definition("int8", {"exclude": "conv_0,conv_1,dense_*", "max_loss": 0.1})


def test_a_name_that_is_defined_twice_or_not_asked_for_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="twice"):
        parse_definitions(["mine=int8", "mine=fp16"])
    arguments = ["export", "mnist_cnn", "-o", str(tmp_path / "b.zip"), "--variants", "fp32", "--define", "mine=int8"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "does not name mine" in done.stderr


def test_a_negative_seed_is_bad_usage(tmp_path: Path):
    done = CliRunner().invoke(app, ["export", "mnist_cnn", "-o", str(tmp_path / "b.zip"), "--seed", "-1"])
    assert done.exit_code == 2
    assert "--seed" in done.stderr


@pytest.mark.parametrize("text", ["", "mine", "mine=", "=tuned", "mine=tuned,method", "mine=tuned,=1"])
def test_a_definition_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(UserError, match="NAME=BASE"):
        parse_definition(text)


def test_a_suite_defines_variants_and_is_read_back_as_it_was():
    content = {
        "name": "s",
        "variants": {"mine": {"from": "tuned", "block": 64}},
        "matrix": [{"variants": ["mine"], "runtimes": ["onnxruntime-cpu"]}],
    }
    suite = validate(content, Suite, where="s.toml")
    assert (suite.variants["mine"].base, suite.variants["mine"].options) == ("tuned", {"block": 64})
    assert Suite.model_validate(suite.model_dump(mode="json", by_alias=True)) == suite


def test_a_definition_without_its_base_is_refused(tmp_path: Path):
    content = {"name": "s", "variants": {"mine": {"block": 64}}, "matrix": [{"variants": ["a"], "runtimes": ["b"]}]}
    with pytest.raises(UserError, match=r"variants\.mine\.from"):
        validate(content, Suite, where="s.toml")
