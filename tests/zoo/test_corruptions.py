"""Corruptions: each severity is worse than the one before, by the generator alone, and the clean data stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.errors import UserError
from bench.zoo.corrupt.audio import AudioCorruptor
from bench.zoo.corrupt.images import ImageCorruptor
from bench.zoo.corrupt.tabular import TabularCorruptor
from bench.zoo.corrupt.text import TextCorruptor
from bench.zoo.datasets.base import SEVERITIES

COUNT = 60
CHOSEN = np.arange(COUNT)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _digits():
    from sklearn.datasets import load_digits

    return np.kron(load_digits().images[:COUNT] / 16, np.ones((1, 3, 3))).astype(np.float32)[..., None]


def _photographs():
    from sklearn.datasets import load_sample_images

    picture = load_sample_images().images[0][:192, :320]
    return picture.reshape(6, 32, 10, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3).astype(np.float32)


def _waves():
    rng = _rng(7)
    swell = np.sin(np.linspace(0, np.pi, 1000)) * 0.3
    return [
        (swell * np.sin(2 * np.pi * rng.uniform(200, 2000) * np.arange(1000) / 8000)).astype(np.float32) for _ in CHOSEN
    ]


def _letters(texts):
    """How often each letter, space or end of a pair of them stands in each text: a distance of spellings."""
    counts = np.zeros((len(texts), 128, 128), np.float32)
    for row, text in zip(counts, texts, strict=True):
        for one, two in pairwise(text):
            row[ord(one), ord(two)] += 1
    return counts.reshape(len(texts), -1)


TEXTS = [
    "Please call me back tomorrow about the parcel that you sent last week to my brother",
    "You have won a prize claim it now by sending your number to this short code",
    "Are we still meeting for lunch near the station or shall I come to the office",
] * (COUNT // 3)
TABLE = _rng(9).normal(size=(COUNT, 6)).astype(np.float32)
FILL = np.arange(6, dtype=np.float32) / 10 + 3
SCALE = np.array([0, 1, 1, 2, 2, 3], np.float32)

KINDS = {
    "digits": (lambda: ImageCorruptor(_digits()), _digits),
    "photographs": (lambda: ImageCorruptor(_photographs(), 0, 255, "reflect"), _photographs),
    "audio": (lambda: AudioCorruptor(_waves(), 8000, np.stack), lambda: np.stack(_waves())),
    "tabular": (lambda: TabularCorruptor(TABLE, FILL, SCALE), lambda: TABLE),
    "text": (lambda: TextCorruptor(TEXTS, _letters), lambda: _letters(TEXTS)),
}
IMAGES = ("gaussian-noise", "blur", "rotation", "brightness", "contrast", "occlusion")
NAMES = {
    "digits": IMAGES,
    "photographs": IMAGES,
    "audio": ("noise", "gain", "clipping"),
    "tabular": ("missing", "shifted"),
    "text": ("typos", "dropped-words"),
}
EVERY = [(kind, name) for kind, names in NAMES.items() for name in names]


def _distance(worse, clean):
    apart = (worse.astype(np.float64) - clean).reshape(len(clean), -1)
    return np.sqrt((apart**2).sum(axis=1)).mean()


def test_the_corruptions_are_those_that_tables_speak_of():
    assert {kind: make().names for kind, (make, _) in KINDS.items()} == NAMES


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_each_severity_is_farther_from_the_clean_inputs_than_the_one_before(kind, name):
    make, clean = KINDS[kind]
    # A generator of its own for each severity, as for cells of a table: the order must not hang on luck.
    distances = [_distance(make()(name, severity, CHOSEN, _rng(severity))[0], clean()) for severity in SEVERITIES]
    assert distances[0] > 0
    assert np.all(np.diff(distances) > 0)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_corrupted_inputs_depend_on_the_generator_alone_and_have_the_shape_of_the_clean(kind, name):
    make, clean = KINDS[kind]
    first, again = (make()(name, 3, CHOSEN, _rng(2))[0] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.shape == clean().shape
    assert first.dtype == np.float32
    if name not in ("blur", "brightness", "contrast", "clipping"):
        # Several, because few draws, such as the signs of a few columns, can be alike by chance.
        assert len({make()(name, 3, CHOSEN, _rng(seed))[0].tobytes() for seed in range(4)}) > 1


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_corrupted_inputs_stand_in_the_order_that_was_chosen(kind, name):
    make, clean = KINDS[kind]
    chosen = _rng(5).permutation(COUNT)[:20]
    worse = make()(name, 1, chosen, _rng())[0]
    own = _distance(worse, clean()[chosen])
    assert own < _distance(worse, clean()[np.roll(chosen, 1)])
    assert own < _distance(worse, clean()[:20])


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_clean_data_are_never_changed(kind, name):
    corrupt = KINDS[kind][0]()
    held = next(value for key, value in vars(corrupt).items() if key in ("images", "waves", "features", "texts"))
    before = [np.array(one) for one in held]
    corrupt(name, 5, CHOSEN, _rng())
    assert all(np.array_equal(one, two) for one, two in zip(held, before, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_corruption_is_named_and_a_severity_is_1_to_5(kind):
    make, _ = KINDS[kind]
    with pytest.raises(UserError, match="fogg"):
        make()("fogg", 1, CHOSEN, _rng())
    for severity in (0, 6):
        with pytest.raises(ValueError, match="tuple"):
            make()(make().names[0], severity, CHOSEN, _rng())


@settings(max_examples=40, deadline=None)
@given(
    images=arrays(np.float32, (3, 6, 7, 2), elements=st.floats(-2, 6, width=32)),
    name=st.sampled_from(ImageCorruptor.names),
    severity=st.sampled_from(SEVERITIES),
)
def test_an_image_stays_in_its_range_in_256_steps(images, name, severity):
    (worse,) = ImageCorruptor(images, -2, 6)(name, severity, np.arange(3), _rng())
    steps = (worse.astype(np.float64) + 2) / 8 * 255
    assert np.allclose(steps, np.round(steps), atol=1e-3)
    assert -2 <= worse.min() <= worse.max() <= 6


def test_a_turned_image_shows_the_background_or_its_mirror_image():
    light = np.full((8, 20, 20, 1), 200, np.float32)
    (digits,) = ImageCorruptor(light, 0, 255)("rotation", 5, np.arange(8), _rng())
    (photographs,) = ImageCorruptor(light, 0, 255, "reflect")("rotation", 5, np.arange(8), _rng())
    assert digits.min() == 0
    assert (photographs == 200).all()


def test_images_are_turned_both_ways():
    (turned,) = ImageCorruptor(_digits())("rotation", 2, np.zeros(40, int), _rng())
    assert len({image.tobytes() for image in turned}) == 2


def test_a_patch_hides_the_same_share_wherever_it_lies_within_the_image():
    (hidden,) = ImageCorruptor(np.zeros((200, 20, 20, 1), np.float32))("occlusion", 3, np.arange(200), _rng())
    assert {int((image > 0).sum()) for image in hidden} == {64}
    tops = [np.flatnonzero(image.any(axis=(1, 2)))[0] for image in hidden]
    assert (min(tops), max(tops)) == (0, 12)


def test_noise_on_sound_is_as_far_below_it_as_the_severity_says():
    corrupt = AudioCorruptor(_waves(), 8000, np.stack)
    for severity, decibels in zip(SEVERITIES, (20, 15, 10, 5, 0), strict=True):
        noise = np.stack(corrupt.worse("noise", severity, CHOSEN, _rng())) - np.stack(_waves())
        ratio = 10 * np.log10((np.stack(_waves()) ** 2).mean() / (noise**2).mean())
        assert ratio == pytest.approx(decibels, abs=0.5)


def test_sound_is_made_louder_and_quieter_and_never_leaves_full_scale():
    loud = np.stack(AudioCorruptor(_waves(), 8000, np.stack).worse("gain", 5, CHOSEN, _rng()))
    peaks = abs(loud).max(axis=1)
    assert np.unique(np.round(peaks, 2)) == pytest.approx([0.03, 1])


def test_clipped_sound_has_its_peak_where_the_severity_says():
    clipped = np.stack(AudioCorruptor(_waves(), 8000, np.stack).worse("clipping", 3, CHOSEN, _rng()))
    assert np.allclose(abs(clipped).max(axis=1), 0.2 * abs(np.stack(_waves())).max(axis=1), atol=2**-15)


@pytest.mark.parametrize("name", AudioCorruptor.names)
def test_silence_and_clips_without_a_sample_stay_as_they_are(name):
    silent = [np.zeros(50, np.float32), np.zeros(0, np.float32)]
    worse = AudioCorruptor(silent, 8000, np.stack).worse(name, 5, np.arange(2), _rng())
    assert [len(wave) for wave in worse] == [50, 0]
    assert not worse[0].any()


def test_a_missing_cell_holds_the_filling_of_its_column_and_the_others_stay():
    (worse,) = TabularCorruptor(TABLE, FILL, SCALE)("missing", 5, CHOSEN, _rng())
    filled = worse == FILL
    assert filled.mean() == pytest.approx(0.5, abs=0.08)
    assert np.array_equal(worse[~filled], TABLE[~filled])


def test_a_column_moves_as_a_whole_by_a_share_of_its_scale():
    (worse,) = TabularCorruptor(TABLE, FILL, SCALE)("shifted", 3, CHOSEN, _rng())
    moves = worse - TABLE
    assert np.allclose(moves, moves[0], atol=1e-6)
    assert np.allclose(abs(moves[0]), 0.5 * SCALE)
    assert {-1, 1} <= set(np.sign(moves[0]))


def test_a_share_of_the_words_is_mistyped_and_the_others_stay():
    worse = TextCorruptor(TEXTS, _letters).worse("typos", 3, CHOSEN, _rng())
    pairs = [
        (one, two)
        for old, new in zip(TEXTS, worse, strict=True)
        for one, two in zip(old.split(), new.split(), strict=True)
    ]
    wrong = [(one, two) for one, two in pairs if one != two]
    assert len(wrong) / len(pairs) == pytest.approx(0.35, abs=0.05)
    assert {len(two) - len(one) for one, two in wrong} == {-1, 0, 1}


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.sampled_from(SEVERITIES), st.integers(0))
def test_typing_mistakes_keep_the_number_of_words_and_what_is_between_them(text, severity, seed):
    (worse,) = TextCorruptor([text], _letters).worse("typos", severity, np.array([0]), _rng(seed))
    assert len(worse.split()) == len(text.split())
    assert [one for one in worse if one.isspace()] == [one for one in text if one.isspace()]


@pytest.mark.parametrize("text", ["a", "I", "Öl", "ll", "4u"])
def test_any_word_with_a_letter_can_be_mistyped_and_never_vanishes(text):
    results = _mistyped_in_forty_ways(text)
    assert results > {text}
    assert all(word.strip() for word in results)


@pytest.mark.parametrize("text", ["", "1234 :-)"])
def test_what_has_no_letters_is_not_mistyped(text):
    assert _mistyped_in_forty_ways(text) == {text}


def _mistyped_in_forty_ways(text):
    corrupt = TextCorruptor([text], _letters)
    return {corrupt.worse("typos", 5, np.array([0]), _rng(seed))[0] for seed in range(40)}
