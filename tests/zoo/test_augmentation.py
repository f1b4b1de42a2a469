"""Augmentation: as far as asked and no further, by the generator alone, and in the order of the labels."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.zoo.augment.audio import AudioVary
from bench.zoo.augment.images import ImageVary
from bench.zoo.augment.options import Augmentation
from bench.zoo.augment.text import TextVary, without_words

SIDE = 65
NOTHING = Augmentation()
IMAGE_KINDS = {
    "rotation": Augmentation(rotation=10),
    "shift": Augmentation(shift=0.1),
    "shear": Augmentation(shear=0.2),
    "zoom": Augmentation(zoom=0.2),
    "flip": Augmentation(flip=True),
    "all": Augmentation(rotation=10, shift=0.1, shear=0.2, zoom=0.2, flip=True),
}
WORDS = "one two three four five six seven eight nine ten"


def _rng(seed=0):
    return np.random.default_rng(seed)


def _blobs(count, across=8.0, along=4.0):
    """The same smooth spot in the middle of every image, as wide as `across` and as high as `along`."""
    at = np.arange(SIDE) - (SIDE - 1) / 2
    spot = np.exp(-(at[None, :] ** 2) / (2 * across**2) - at[:, None] ** 2 / (2 * along**2))
    return np.repeat(spot[None, ..., None].astype(np.float32), count, axis=0)


def _moments(images):
    """Centres [n, 2] (x, y) of the ink from the middle of the image, and covariances [n, 2, 2], in pixels."""
    ink = images[..., 0].astype(np.float64)
    ink /= ink.sum(axis=(1, 2), keepdims=True)
    at = np.arange(SIDE) - (SIDE - 1) / 2
    places = np.stack(np.meshgrid(at, at), axis=-1)
    centres = np.einsum("nij,ijk->nk", ink, places)
    apart = places[None] - centres[:, None, None]
    return centres, np.einsum("nij,nijk,nijl->nkl", ink, apart, apart)


def _spans(values, limit, share=0.95):
    """Whether values lie within ± limit, and come near both ends."""
    return abs(values).max() <= limit and values.max() > share * limit and values.min() < -share * limit


@pytest.fixture
def noise():
    return _rng(1).random((40, 12, 12, 3), dtype=np.float32)


def test_an_image_is_turned_by_up_to_the_asked_angle_either_way():
    (turned,) = ImageVary(_blobs(600))(Augmentation(rotation=10), _rng())
    _, spread = _moments(turned)
    angles = np.degrees(0.5 * np.arctan2(2 * spread[:, 0, 1], spread[:, 0, 0] - spread[:, 1, 1]))
    assert _spans(angles, 10.1)


def test_an_image_is_moved_by_up_to_the_asked_share_of_its_side_both_ways():
    (moved,) = ImageVary(_blobs(600, 4))(Augmentation(shift=0.1), _rng())
    centres, _ = _moments(moved)
    assert _spans(centres[:, 0] / SIDE, 0.1005)
    assert _spans(centres[:, 1] / SIDE, 0.1005)


def test_an_image_is_zoomed_by_the_asked_share_with_its_proportions_kept():
    (zoomed,) = ImageVary(_blobs(600, 6, 6))(Augmentation(zoom=0.2), _rng())
    centres, spread = _moments(zoomed)
    wide, high = np.sqrt(spread[:, 0, 0]), np.sqrt(spread[:, 1, 1])
    assert _spans(6 / wide - 1, 0.205)
    assert np.allclose(wide, high, rtol=0.01)
    assert abs(centres).max() < 0.05


def test_an_image_is_slanted_about_its_middle_by_up_to_the_asked_share():
    (slanted,) = ImageVary(_blobs(600, 4, 8))(Augmentation(shear=0.2), _rng())
    centres, spread = _moments(slanted)
    assert _spans(spread[:, 0, 1] / spread[:, 1, 1], 0.202)
    assert abs(centres).max() < 0.05


def test_half_of_the_images_are_mirrored_left_to_right():
    images = _rng().random((400, 9, 9, 1), dtype=np.float32)
    (varied,) = ImageVary(images)(Augmentation(flip=True), _rng())
    mirrored = (varied == images[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (varied == images).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


@pytest.mark.parametrize("options", IMAGE_KINDS.values(), ids=IMAGE_KINDS)
def test_varied_images_depend_on_the_generator_alone_and_touch_nothing_else(options, noise):
    import keras

    clean = noise.copy()
    vary = ImageVary(noise)
    (first,) = vary(options, _rng(3))
    keras.random.normal((3,))
    (again,) = vary(options, _rng(3))
    (other,) = vary(options, _rng(4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert np.array_equal(noise, clean)
    assert first.dtype == np.float32
    assert first.shape == clean.shape
    assert 0 <= first.min() < first.max() <= 1


def test_varying_images_leaves_the_global_generators_alone(noise):
    import keras

    keras.utils.set_random_seed(5)
    expected = (random.random(), np.random.random(), float(keras.random.uniform(())))
    keras.utils.set_random_seed(5)
    ImageVary(noise)(IMAGE_KINDS["all"], _rng())
    assert (random.random(), np.random.random(), float(keras.random.uniform(()))) == expected


def test_varied_images_are_the_same_in_another_process_with_deterministic_operators():
    code = """
import hashlib
import numpy as np
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
from bench.zoo.augment.images import ImageVary
from bench.zoo.augment.options import Augmentation
images = np.random.default_rng(1).random((40, 12, 12, 3), dtype=np.float32)
options = Augmentation(rotation=10, shift=0.1, shear=0.2, zoom=0.2, flip=True)
print(hashlib.sha256(ImageVary(images)(options, np.random.default_rng(3))[0].tobytes()).hexdigest())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    (here,) = ImageVary(_rng(1).random((40, 12, 12, 3), dtype=np.float32))(IMAGE_KINDS["all"], _rng(3))
    assert told[-1] == hashlib.sha256(here.tobytes()).hexdigest()


def test_where_nothing_is_asked_inputs_stay_as_they_are(noise):
    waves = [_rng().normal(0, 0.1, 50).astype(np.float32)]
    assert np.array_equal(ImageVary(noise)(NOTHING, _rng())[0], noise)
    assert np.array_equal(AudioVary(waves, 8000, np.stack)(NOTHING, _rng())[0][0], waves[0])
    assert TextVary(["so  it is"], np.array)(NOTHING, _rng())[0].tolist() == ["so  it is"]


def test_varied_images_stay_in_the_order_of_their_labels_across_chunks():
    levels = np.linspace(0.1, 1, 5000, dtype=np.float32)
    images = np.zeros((5000, 12, 12, 1), np.float32)
    images[:, 2:10, 2:10] = levels[:, None, None, None]
    (varied,) = ImageVary(images)(IMAGE_KINDS["all"], _rng())
    assert np.allclose(varied[:, 6, 6, 0], levels, atol=1e-6)


def test_every_image_is_varied_in_its_own_way_across_chunks():
    same = np.repeat(_rng().random((1, 8, 8, 1), dtype=np.float32), 5000, axis=0)
    (varied,) = ImageVary(same)(IMAGE_KINDS["all"], _rng())
    assert len({image.tobytes() for image in varied}) == 5000


def test_one_kind_is_drawn_alike_whether_or_not_others_are_asked_for():
    vary = ImageVary(_blobs(50, 4))
    alone, _ = _moments(vary(Augmentation(shift=0.1), _rng())[0])
    together, _ = _moments(vary(Augmentation(shift=0.1, zoom=0.2, rotation=10), _rng())[0])
    assert np.allclose(alone, together, atol=0.05)


def test_what_comes_in_from_outside_is_the_background_or_the_mirrored_image():
    light = np.full((50, 12, 12, 1), 200, np.float32)
    (digits,) = ImageVary(light, "constant", low=10, high=255)(Augmentation(rotation=45), _rng())
    (photographs,) = ImageVary(light, "reflect", low=10, high=255)(Augmentation(rotation=45), _rng())
    assert digits.min() == pytest.approx(10)
    assert digits.max() == pytest.approx(200)
    assert photographs == pytest.approx(200)


def _tones(count=200, samples=800):
    return [(0.3 * np.sin(2 * np.pi * 500 * np.arange(samples + at) / 8000)).astype(np.float32) for at in range(count)]


def _varied_waves(seed=0, **asked):
    return AudioVary(_tones(), 8000, np.stack).varied(Augmentation(**asked), _rng(seed))


def test_noise_on_waves_is_at_most_the_asked_share_of_their_level():
    added = [varied - wave for varied, wave in zip(_varied_waves(noise=0.2), _tones(), strict=True)]
    shares = np.array([noise.std() / wave.std() for noise, wave in zip(added, _tones(), strict=True)])
    assert shares.max() < 0.2 * 1.1
    assert shares.max() > 0.2 * 0.8
    assert shares.min() < 0.2 * 0.1


def test_waves_are_moved_in_time_by_up_to_the_asked_share_of_their_length():
    waves = _tones()
    moves = []
    for varied, wave in zip(_varied_waves(shift=0.1), waves, strict=True):
        move = len(varied) - len(wave)
        moves.append(move / len(wave))
        if move > 0:
            assert not varied[:move].any()
            assert np.array_equal(varied[move:], wave)
        else:
            assert np.array_equal(varied, wave[-move:])
    # A move is by whole samples.
    assert _spans(np.array(moves), 0.1 + 0.5 / 800)


def test_waves_are_played_faster_and_slower_by_up_to_the_asked_share():
    waves = _tones()
    varied = _varied_waves(speed=0.1)
    speeds = np.array([len(wave) / len(other) for wave, other in zip(waves, varied, strict=True)])
    assert _spans(speeds - 1, 0.102, share=0.9)
    # The pitch goes with the speed: the tone of 500 Hz is where its speed puts it.
    spectra = [np.abs(np.fft.rfft(other, 8000)).argmax() for other in varied]
    assert np.allclose(np.array(spectra), 500 * speeds, atol=5)


@pytest.mark.parametrize("asked", [{"noise": 0.2}, {"shift": 0.1}, {"speed": 0.1}], ids=lambda asked: next(iter(asked)))
def test_varied_waves_depend_on_the_generator_alone(asked):
    first, again, other = (b"".join(wave.tobytes() for wave in _varied_waves(seed, **asked)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_varied_waves_are_float32_within_full_scale_and_their_features_in_order():
    waves = [np.full(100 + at, 0.01 * at, np.float32) for at in range(100)]
    clean = [wave.copy() for wave in waves]
    vary = AudioVary(waves, 8000, lambda given: np.array([np.median(wave) for wave in given]))
    options = Augmentation(noise=0.3, shift=0.2, speed=0.2)
    for wave in vary.varied(options, _rng()):
        assert wave.dtype == np.float32
        assert abs(wave).max() <= 1
    (features,) = vary(options, _rng())
    assert np.allclose(features, 0.01 * np.arange(100), atol=0.1)
    assert all(np.array_equal(one, two) for one, two in zip(waves, clean, strict=True))


def _texts(seed=0, share=0.4):
    vary = TextVary([f"{at} {WORDS}" for at in range(400)], lambda texts: np.array(list(texts), object))
    return vary(Augmentation(word_dropout=share), _rng(seed))[0]


def test_words_are_left_out_by_up_to_the_asked_share():
    missing = np.array([1 - len(text.split()) / 11 for text in _texts(share=0.4)])
    assert missing.mean() == pytest.approx(0.2, abs=0.03)
    assert missing.max() < 0.9


def test_texts_without_some_words_depend_on_the_generator_alone():
    assert _texts(1).tolist() == _texts(1).tolist()
    assert _texts(1).tolist() != _texts(2).tolist()


def test_texts_stay_in_the_order_of_their_labels():
    numbers = [(at, text.split()[0]) for at, text in enumerate(_texts()) if text.split()[0].isdigit()]
    assert len(numbers) > 200
    assert all(str(at) == number for at, number in numbers)


@given(st.lists(st.text(st.characters(categories=["L", "P"]), min_size=1), min_size=1), st.floats(0, 1), st.integers(0))
def test_words_that_stay_keep_their_order_and_one_always_stays(words, share, seed):
    left = iter(words)
    kept = without_words(" ".join(words), share, _rng(seed)).split()
    assert kept
    assert all(word in left for word in kept)


@given(st.text(" \t\n"))
def test_a_text_without_words_stays_as_it_is(text):
    assert without_words(text, 0.9, _rng()) == text
