"""The table `[tune]`: what it may say, and which settings its space holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.export.cache import bundle_key
from bench.export.recipes import Definition, recipes
from bench.runner.tune.setup import snippet
from bench.runner.tune.space import MANY as MANY_SETTINGS
from bench.runner.tune.space import Known, Space, default_space, make_space
from bench.runtimes.table import targets, unavailable
from bench.suite.load import load_suite
from bench.suite.schema import Suite
from bench.suite.tune import Values
from bench.training.key import training_key
from bench.zoo.card import Hyper
from bench.zoo.find import find, source_card

MATRIX = '[[matrix]]\nmodels = ["m.onnx"]\nvariants = ["fp32"]\nruntimes = ["onnxruntime-cpu"]\n'


def known(*formats: str, **own: Definition) -> Known:
    return Known(
        model="mnist_cnn@digits",
        formats=frozenset(formats or ("onnx", "tflite")),
        hyper={"width": Hyper(low=8, high=64, step=8, default=32), "dropout": Hyper(low=0.0, high=0.5)},
        values={"width": 32, "dropout": 0.0},
        recipes=recipes(own),
    )


def space_of(table: dict[str, object], about: Known | None = None) -> Space:
    return make_space(
        {name: Values.model_validate(value) for name, value in table.items()}, about or known(), "mine.toml"
    )


def names(space: Space) -> list[str]:
    return [setup.name for _, setup in space.combinations()]


# what a dimension may be


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ([1, 2], (1, 2)),
        ({"low": 16, "high": 64, "step": 16}, (16, 32, 48, 64)),
        ({"low": 1, "high": 3}, (1, 2, 3)),
        ({"low": 0.1, "high": 0.3, "step": 0.1}, (0.1, 0.2, 0.3)),
        ({"low": 0.1, "high": 0.3}, None),
    ],
)
def test_a_list_or_a_range_is_a_dimension(given: object, listed: tuple[object, ...] | None) -> None:
    assert Values.model_validate(given).listed() == listed


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 9))
def test_every_listed_number_is_in_its_range_and_the_next_is_not(low: int, length: int, step: int) -> None:
    values = Values(low=low, high=low + length, step=step)
    listed = values.listed()
    assert listed is not None
    assert listed[0] == low
    assert all(values.fault(value) is None for value in listed)
    assert low + length < listed[-1] + step
    assert values.fault(low + length + 1)
    assert values.fault("1")


@pytest.mark.parametrize(
    ("table", "said", "key"),
    [
        ("[tune]\ntrails = 3\n", "did you mean 'trials'?", "tune.trails"),
        ("[tune]\nsampler = 'bayes'\n", "'tpe'", "tune.sampler"),
        ("[tune]\ntrials = 0\n", "greater than 0", "tune.trials"),
        ("[tune.space]\nthreads = { low = 1, hihg = 4 }\n", "did you mean 'high'?", "tune.space.threads.hihg"),
        ("[tune.space]\nthreads = { low = 4, high = 1 }\n", "low (4) is not below high (1)", "tune.space.threads"),
        ("[tune.space]\nthreads = []\n", "at least 1", "tune.space.threads"),
        ("[tune.space]\nthreads = { values = [1], low = 1 }\n", "a list has no low", "tune.space.threads"),
        ("[tune.space]\nthreads = { low = 1, high = inf }\n", "finite ends", "tune.space.threads"),
        ("[tune.space]\nthreads = { low = 1 }\n", "low and high", "tune.space.threads"),
        ("[tune.space]\n'model.width' = { low = 0, high = 4, log = true }\n", "begins above 0", "model.width"),
    ],
)
def test_a_faulty_table_is_named_with_file_and_key(tmp_path: Path, table: str, said: str, key: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\n{MATRIX}{table}')
    with pytest.raises(UserError) as refused:
        load_suite(str(path))
    assert said in str(refused.value)
    assert str(path) in str(refused.value.where)
    assert key in str(refused.value.where)
    assert refused.value.remedy


def test_a_value_of_a_list_is_told_from_a_truth_value_that_python_takes_for_equal() -> None:
    values = Values.model_validate([1, "all"])
    assert values.fault(1) is None
    assert values.fault("all") is None
    assert values.fault(True) == "True is not one of 1, 'all'"


# what exists


def test_what_is_not_named_stays_at_its_default() -> None:
    assert names(space_of({"threads": [1, 2]})) == ["fp32/onnxruntime-cpu/t1/b1", "fp32/onnxruntime-cpu/t2/b1"]


def test_options_of_a_runtime_are_asked_for_only_where_it_runs() -> None:
    found = names(space_of({"runtime": ["onnxruntime-cpu", "litert-xnnpack"], "graph_optimization": ["basic", "all"]}))
    assert found == [
        "fp32/onnxruntime-cpu/t1/b1/graph_optimization=basic",
        "fp32/onnxruntime-cpu/t1/b1",
        "fp32/litert-xnnpack/t1/b1",
    ]


def test_branches_run_side_by_side_only_with_more_than_one_thread() -> None:
    found = names(space_of({"threads": [1, 2], "execution_mode": ["sequential", "parallel"]}))
    assert "fp32/onnxruntime-cpu/t2/b1/execution_mode=parallel" in found
    assert "fp32/onnxruntime-cpu/t1/b1/execution_mode=parallel" not in found


def test_options_of_a_variant_are_asked_for_only_for_it_and_only_where_it_has_them() -> None:
    table = {
        "variant": ["fp32", "int8"],
        "runtime": ["onnxruntime-cpu", "litert-xnnpack"],
        "calibration": ["minmax", "entropy"],
    }
    assert names(space_of(table)) == [
        "fp32/onnxruntime-cpu/t1/b1",
        "int8/onnxruntime-cpu/t1/b1",
        "int8-calibration-entropy/onnxruntime-cpu/t1/b1",
        "fp32/litert-xnnpack/t1/b1",
        "int8/litert-xnnpack/t1/b1",
    ]


def test_a_variant_is_not_tried_where_its_format_does_not_meet_the_runtime() -> None:
    table = {"variant": ["fp32", "int16x8"], "runtime": ["onnxruntime-cpu", "litert-xnnpack"]}
    assert [space_of(table).forms, space_of(table, known("onnx")).forms] == [
        (("fp32", "onnxruntime-cpu"), ("fp32", "litert-xnnpack"), ("int16x8", "litert-xnnpack")),
        (("fp32", "onnxruntime-cpu"),),
    ]


def test_a_hyper_parameter_stands_in_the_word_for_the_model_where_it_is_not_the_cards() -> None:
    found = [setup.model for _, setup in space_of({"model.width": [16, 32]}).combinations()]
    assert found == ["mnist_cnn@digits,width=16", "mnist_cnn@digits"]


def test_a_variant_of_ones_own_keeps_its_options() -> None:
    table = {"variant": ["held"], "held.max_loss": [0.01, 0.05]}
    about = known(held=Definition("int8", {"exclude": "auto", "max_loss": 0.05}))
    small, large = (setup for _, setup in space_of(table, about).combinations())
    assert small.variant_options == {"exclude": "auto", "max_loss": 0.01}
    assert (large.variant, large.variant_options) == ("held", {"exclude": "auto", "max_loss": 0.05})


@pytest.mark.parametrize(
    ("table", "said", "key"),
    [
        ({"graph_optimisation": ["all"]}, "did you mean 'graph_optimization'?", "graph_optimisation"),
        ({"graph_optimization": ["most"]}, "'most' is not one of", "graph_optimization"),
        ({"variant": ["int9"]}, "did you mean 'int8'?", "variant"),
        ({"runtime": ["onnxruntim-cpu"]}, "did you mean 'onnxruntime-cpu'?", "runtime"),
        ({"threads": [0]}, "one at least", "threads"),
        ({"threads": {"low": 1.0, "high": 2.0}}, "one at least", "threads"),
        ({"int8.calibration": ["minmax"]}, "unknown variant 'int8'", "int8.calibration"),
        ({"variant": ["int8"], "int8.calibration": ["minmx"]}, "did you mean 'minmax'?", "int8.calibration"),
        ({"variant": ["pruned"], "sparsity": {"low": 0.1, "high": 1.5}}, "out of range", "sparsity"),
        ({"model.widht": [16]}, "did you mean 'width'?", "model.widht"),
        ({"model.width": [16, 99]}, "99 is not within 8 to 64", "model.width"),
        ({"io_binding": [True]}, "what is timed", "io_binding"),
        ({"variant": ["int16x8"], "runtime": ["onnxruntime-cpu"]}, "none of int16x8 exists", "tune.space"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_that_does(
    table: dict[str, object], said: str, key: str
) -> None:
    with pytest.raises(UserError) as refused:
        space_of(table)
    assert said in str(refused.value)
    assert str(refused.value.where).startswith("mine.toml: tune.space")
    assert key in str(refused.value.where)
    assert refused.value.remedy


def test_a_list_of_names_is_no_range_and_holds_only_what_runs_here() -> None:
    with pytest.raises(UserError, match="this is a list of names"):
        space_of({"variant": {"low": 1, "high": 2}})
    absent = next(target for target in targets() if unavailable(target) is not None)
    with pytest.raises(UserError, match="leave it out") as refused:
        space_of({"runtime": ["onnxruntime-cpu", absent]})
    assert unavailable(absent) in str(refused.value)


def test_of_very_many_settings_only_so_many_are_counted() -> None:
    space = space_of({"batch": {"low": 1, "high": 10 * MANY_SETTINGS}})
    assert space.count() == MANY_SETTINGS


def test_a_grid_over_a_range_without_steps_says_which() -> None:
    space = space_of({"model.dropout": {"low": 0.0, "high": 0.5}})
    assert space.count() is None
    with pytest.raises(UserError, match="needs steps") as refused:
        list(space.combinations())
    assert "model.dropout" in str(refused.value.where)


def test_the_usual_space_holds_the_default_setting_and_only_what_exists() -> None:
    space = make_space(default_space(known(), calibrates=True, batches=False, retrain=False), known(), "bench tune")
    setups = [setup for _, setup in space.combinations()]
    assert space.default() in setups
    assert {setup.batch for setup in setups} == {1}
    assert all(not setup.options for setup in setups if not setup.target.startswith("onnxruntime"))
    assert all("model." not in name for name in space.hyper)
    without = default_space(known(), calibrates=False, batches=True, retrain=True)
    assert "int8" not in (without["variant"].values or ())
    assert {"batch", "model.width"} <= without.keys()


MANY = space_of(
    {
        "variant": ["fp32", "int8", "pruned"],
        "runtime": ["onnxruntime-cpu", "litert-xnnpack"],
        "threads": [1, 2],
        "arena": [True, False],
        "sparsity": {"low": 0.5, "high": 0.9, "step": 0.2},
        "int8.per_channel": [True, False],
        "model.width": [16, 32],
    }
)
KEYS = {setup.key for _, setup in MANY.combinations()}


@given(st.data())
def test_what_the_choices_lead_to_is_one_of_the_combinations_and_a_suite_that_holds(data: st.DataObject) -> None:
    setup = MANY.walk(lambda name, values: data.draw(st.sampled_from(values.listed() or ()), label=name))
    assert setup.key in KEYS
    suite = Suite.model_validate(tomllib.loads(snippet(setup, "single-stream", {})))
    (matrix,) = suite.matrix
    assert matrix.models == [setup.model]
    assert matrix.options == setup.options
    assert [given.options for given in suite.variants.values()] == list(filter(None, [setup.variant_options]))


# hyper-parameters of the zoo


def test_a_model_with_another_hyper_parameter_is_another_model_for_every_cache() -> None:
    plain, same, narrow = (find(f"mnist_cnn@digits{more}") for more in ("", ",width=32", ",width=16,dropout=0.1"))
    assert same == plain
    assert narrow.name == "mnist_cnn@digits,dropout=0.1,width=16"
    assert find(narrow.name) == narrow
    card = source_card(narrow)
    assert card.options["width"] == 16
    assert card.training is not None
    assert card.training.dropout == 0.1
    keys = {training_key(Path(source.path), source_card(source), 0) for source in (plain, narrow)}
    assert len(keys) == len({bundle_key(source, None, 0) for source in (plain, narrow)}) == 2


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("mnist_cnn@digits,widht=16", "did you mean 'width'?"),
        ("mnist_cnn@digits,width=16.5", "not a whole number"),
        ("mnist_cnn@digits,width", "write NAME@SETTING,key=value"),
        ("resnet8@imported,dropout=0.1", "are ready, not trained"),
    ],
)
def test_a_hyper_parameter_that_the_card_does_not_declare_is_refused(word: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        find(word)
    assert said in str(refused.value)
