"""Which layers stay float: the loss that decides, and the search for the fewest."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.export.choice import choose
from bench.export.errors import CannotMake
from bench.export.exclusion import about, check_examples, decides, loss, named, noise, shown, smallest_exclusion

LAYERS = ["conv_0", "conv_1", "dense_0"]
losses = st.lists(st.integers(0, 100), min_size=1, max_size=9)


def _harm(harms, left_float):
    return sum(harm for layer, harm in harms.items() if layer not in left_float)


@given(losses, st.integers(0, 100))
def test_the_search_leaves_the_fewest_layers_float_that_hold_where_harms_add_up(by_layer, max_loss):
    harms = {f"layer_{i}": harm for i, harm in enumerate(by_layer)}
    found = smallest_exclusion(list(harms), partial(_harm, harms), partial(_harm, harms), max_loss)
    worst_first = sorted(harms.values(), reverse=True)
    fewest = next(n for n in range(len(harms) + 1) if sum(worst_first[n:]) <= max_loss)
    assert len(found.layers) == fewest
    assert found.before == _harm(harms, ())
    assert found.after <= max_loss


def test_where_not_even_a_float_model_holds_it_is_said():
    with pytest.raises(CannotMake, match="max_loss"):
        smallest_exclusion(LAYERS, lambda _: 0.0, lambda _: 0.5, 0.3)


@pytest.mark.parametrize(("max_loss", "enough"), [(0.02, 133), (0.1, 25)])
def test_too_few_examples_are_refused_before_the_search_with_how_many_it_takes(max_loss, enough):
    check_examples(enough, max_loss)
    with pytest.raises(CannotMake, match=f"it takes {enough}"):
        check_examples(enough - 1, max_loss)


class Shop:
    """So much of a workshop as a choice needs: a classifier's calibration data, and what is reported."""

    card = None

    def __init__(self, examples: int) -> None:
        self.material = SimpleNamespace(calibration=(np.arange(examples),), labels=np.arange(examples))
        self.told: list[str] = []

    def calibration(self):
        return list(self.material.calibration[0])

    def report(self, text, share=None, *, passing=False):
        self.told.append(text)


def _search(shop, *, harmless):
    """A choice where a file decides as the float one once the layers `harmless` are float; how many files it took."""
    files = []

    def outputs(left_float, columns):
        files.append(left_float)
        right = left_float is None or set(harmless) <= set(left_float)
        return [np.tile([0.9, 0.1] if right else [0.1, 0.9], (len(columns[0]), 1))]

    return files, lambda: choose(shop, LAYERS, "auto", 0.02, outputs)


def test_a_search_that_cannot_end_well_quantises_nothing():
    files, search = _search(Shop(100), harmless=["conv_0"])
    with pytest.raises(CannotMake, match="it takes 133"):
        search()
    assert files == [None]


def test_a_search_says_a_word_for_every_file_and_that_its_examples_chose_the_layers():
    shop = Shop(200)
    files, search = _search(shop, harmless=["conv_1", "dense_0"])
    left_float, notes = search()
    assert set(left_float) == {"conv_1", "dense_0"}
    assert len(shop.told) >= len(files) - 1
    assert "confidence" not in " ".join(notes)
    assert any("chosen on these examples" in note for note in notes)


def test_a_share_that_few_examples_cannot_show_is_not_claimed():
    assert shown(0.0, 100) > 0.02 > shown(0.0, 200)
    with pytest.raises(CannotMake, match="more calibration examples"):
        smallest_exclusion(LAYERS, lambda _: 0.0, lambda _: 0.0, 0.02, lambda share: shown(share, 100))
    found = smallest_exclusion(LAYERS, lambda _: 0.0, lambda _: 0.0, 0.02, lambda share: shown(share, 200))
    assert found.layers == ()
    assert found.after == 0 < found.at_most < 0.02


def test_a_layer_that_later_choices_make_needless_is_quantised_after_all():
    """conv_0 alone is the least noisy to spare; once dense_0 is float it makes no difference."""

    def noise_of(left_float):
        return {(): 9.0, ("conv_0",): 1.0, ("dense_0",): 2.0}.get(tuple(left_float), 3.0 - ("dense_0" in left_float))

    found = smallest_exclusion(LAYERS, noise_of, lambda left: 0.0 if "dense_0" in left else 0.5, 0.1)
    assert found.layers == ("dense_0",)
    assert found.after == 0


def test_a_choice_is_measured_with_what_is_left_float_already():
    """Two layers whose rounding cancels: neither alone is worth leaving float once the other one is quantised."""

    def noise_of(left_float):
        pair = {"conv_0", "conv_1"} - set(left_float)
        return 3.0 * (len(pair) == 1) + ("dense_0" not in left_float)

    assert smallest_exclusion(LAYERS, noise_of, noise_of, 0.5).layers == ("dense_0",)


def test_the_first_order_stands_where_there_are_too_many_layers_to_measure_each_anew():
    harms = {f"layer_{at}": at for at in range(50)}
    measured = []

    def noise_of(left_float):
        measured.append(left_float)
        return _harm(harms, left_float)

    found = smallest_exclusion(list(harms), noise_of, partial(_harm, harms), sum(range(47)))
    assert set(found.layers) == {"layer_47", "layer_48", "layer_49"}
    assert len(measured) == len(harms)


def test_decisions_that_change_are_the_loss_of_a_classifier_however_large_the_change():
    reference = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.45, 0.55]])
    near = np.array([[0.6, 0.4], [0.4, 0.6], [0.51, 0.49], [0.51, 0.49]])
    assert loss([reference], [near], decisions=True) == 0.25
    assert loss([reference], [reference], decisions=True) == 0


def test_a_single_unit_decides_at_one_half():
    reference, outputs = np.array([[0.9], [0.1], [0.6], [0.4]]), np.array([[0.8], [0.2], [0.4], [0.3]])
    assert loss([reference], [outputs], decisions=True) == 0.25


def test_without_decisions_direction_counts_and_length_does_not():
    reference = np.array([[1.0, 0.0], [3.0, 4.0]])
    assert loss([reference], [2 * reference], decisions=False) == pytest.approx(0, abs=1e-12)
    turned = np.array([[0.0, 1.0], [3.0, 4.0]])
    assert loss([reference], [turned], decisions=False) == pytest.approx(1)
    assert noise([reference], [2 * reference]) == pytest.approx(1)


def test_outputs_that_are_not_finite_are_a_whole_loss():
    reference, broken = np.ones((3, 4)), np.full((3, 4), np.nan)
    assert loss([reference], [broken], decisions=False) == 1
    assert loss([reference], [broken], decisions=True) == 1
    assert noise([reference], [broken]) == float("inf")


def test_a_classifier_is_known_by_its_card_its_labels_or_its_probabilities():
    probabilities, numbers = np.full((5, 4), 0.25), np.linspace(-1, 1, 20).reshape(5, 4)
    assert decides([numbers], task="classification")
    assert not decides([probabilities], task="reconstruction")
    assert decides([numbers], labels=np.arange(5))
    assert not decides([probabilities], labels=np.linspace(0, 1, 5))
    assert decides([probabilities])
    assert not decides([numbers])


def test_layers_are_named_one_by_one_or_by_pattern_and_keep_their_order():
    assert named("dense_0, conv_0", LAYERS) == ["conv_0", "dense_0"]
    assert named("conv_*", LAYERS) == ["conv_0", "conv_1"]
    assert named("relu", LAYERS, {"conv_1": ["bias", "relu"]}) == ["conv_1"]
    with pytest.raises(CannotMake, match=r"'pool'.*conv_0, conv_1, dense_0"):
        named("conv_0,pool", LAYERS)


def test_notes_say_what_stays_float_what_it_gained_and_what_is_left():
    found = smallest_exclusion(LAYERS, lambda left: "conv_1" not in left, lambda left: 0.5 - 0.25 * len(left), 0.3)
    text = " ".join(about(found, 3, 40, decisions=True))
    assert "left float: conv_1; 2 of 3 layers are int8" in text
    assert "0.5" in text
    assert "0.25" in text
    assert "40 calibration examples" in text
