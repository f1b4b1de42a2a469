"""Sound: what is read from a file, and what the features of known sounds are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from bench.errors import UserError
from bench.zoo.audio import FLOOR, LogMel, frames_of, read_wav, rms

RATE = 8000
MEL = LogMel(RATE, samples=RATE, frame=256, step=160, bands=40, low_hz=20, high_hz=4000)
LEVEL = LogMel(RATE, samples=RATE, frame=256, step=160, bands=40, low_hz=20, high_hz=4000, centred=True)


def _tone(hertz, amplitude=0.5, samples=RATE):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)).astype(np.float32)


def _wav(samples, rate=RATE):
    content = io.BytesIO()
    wavfile.write(content, rate, samples)
    return content.getvalue()


def _triangles():
    """Where each mel band begins and ends, in hertz, on the HTK scale."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (MEL.low_hz, MEL.high_hz))
    corners = 700 * (10 ** (np.linspace(low, high, MEL.bands + 2) / 2595) - 1)
    return corners[:-2], corners[2:]


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(lambda wave: np.round(wave * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16), id="16-bit"),
        pytest.param(lambda wave: np.round(wave * 2**31).clip(-(2**31), 2**31 - 1).astype(np.int32), id="32-bit"),
        pytest.param(lambda wave: np.round(128 + wave * 128).clip(0, 255).astype(np.uint8), id="8-bit"),
        pytest.param(lambda wave: wave.astype(np.float32), id="float"),
    ],
)
def test_a_wave_reads_the_same_whatever_it_is_stored_in(stored):
    wave = np.array([0, 0.25, -0.5, 0.75, -1, 0.5])
    rate, read = read_wav(_wav(stored(wave), 16000))
    assert rate == 16000
    assert read.dtype == np.float32
    assert np.allclose(read, wave, atol=1 / 128)
    assert np.allclose(read[[0, 1, 2, 4]], wave[[0, 1, 2, 4]], atol=1e-6)


def test_channels_become_their_mean():
    _, read = read_wav(_wav(np.array([[1000, 3000], [-2000, 0]], np.int16)))
    assert np.allclose(read, np.array([2000, -1000]) / 2**15)


WHOLE = _wav(np.arange(8, dtype=np.int16))


@pytest.mark.parametrize(
    "content", [b"", b"not a sound at all", *(WHOLE[:length] for length in (4, 20, 40, len(WHOLE) - 1, len(WHOLE) - 2))]
)
def test_what_is_no_whole_wav_file_is_a_mistake_of_the_user(content):
    assert len(read_wav(WHOLE)[1]) == 8
    with pytest.raises(UserError, match="WAV"):
        read_wav(content)


def test_tags_in_a_wav_file_are_passed_over():
    tag = b"note" + (4).to_bytes(4, "little") + b"abcd"
    assert len(read_wav(WHOLE + tag)[1]) == 8


@settings(max_examples=25, deadline=None)
@given(st.floats(500, 3800))
def test_a_pure_tone_peaks_in_a_band_that_holds_its_frequency(hertz):
    begins, ends = _triangles()
    peaks = MEL([_tone(hertz)])[0].argmax(axis=1)
    assert (begins[peaks] < hertz).all()
    assert (hertz < ends[peaks]).all()


def test_white_noise_has_its_mean_square_in_every_band():
    import tensorflow as tf

    level = 0.1
    noise = np.random.default_rng(0).normal(0, level, (60, RATE)).astype(np.float32)
    weights = np.asarray(tf.signal.linear_to_mel_weight_matrix(40, 129, RATE, 20, 4000)).sum(axis=0)
    energy = np.exp(MEL(noise)).mean(axis=(0, 1))
    # The narrowest bands hold less than one bin.
    wide = weights > 1
    assert wide.sum() > 20
    assert np.allclose(energy[wide] / weights[wide], level**2, rtol=0.05)


def test_there_is_a_row_a_wave_a_line_a_frame_and_a_column_a_band():
    energies = MEL([_tone(440), _tone(880, samples=100), np.zeros(0, np.float32)])
    assert energies.shape == (3, MEL.frames, 40) == (3, 49, 40)
    assert energies.dtype == np.float32


def test_more_waves_than_a_chunk_keep_their_order():
    waves = [_tone(300 + 10 * at, samples=600) for at in range(300)]
    assert np.allclose(MEL(waves)[[0, 255, 256, 299]], MEL([waves[at] for at in (0, 255, 256, 299)]), atol=1e-4)


def test_silence_and_the_time_after_a_clip_are_at_the_floor():
    energies = MEL([_tone(440, samples=1000), np.zeros(RATE, np.float32)])
    assert np.allclose(energies[0, 7:], np.log(FLOOR))
    assert np.allclose(energies[1], np.log(FLOOR))
    assert energies[0, :5].max() > np.log(FLOOR) + 10


def test_a_long_clip_is_cut_at_its_end():
    long = np.concatenate([_tone(440), _tone(2000)])
    assert np.array_equal(MEL([long]), MEL([long[:RATE]]))


@settings(max_examples=20, deadline=None)
@given(st.floats(-40, 5))
def test_a_centred_clip_is_the_same_however_loud_it_is(decibels):
    tone = _tone(700)
    louder = tone * np.float32(10 ** (decibels / 20))
    assert np.allclose(LEVEL([tone]), LEVEL([louder]), atol=0.02)


def test_a_clip_that_is_not_centred_shows_how_loud_it_is():
    loud, quiet = MEL([_tone(700), _tone(700, 0.05)])
    peak = loud.argmax(axis=1)[0]
    assert (loud - quiet)[:, peak] == pytest.approx(np.log(100), abs=0.01)


def test_silence_can_be_centred():
    assert np.allclose(LEVEL([np.zeros(RATE, np.float32)]), np.log(FLOOR))


@pytest.mark.parametrize("wrong", [{"frame": 9000}, {"high_hz": 4001}, {"low_hz": 5000}])
def test_features_that_cannot_be_are_refused(wrong):
    sizes = {"rate": RATE, "samples": RATE, "frame": 256, "step": 160, "bands": 40, "low_hz": 20, "high_hz": 4000}
    with pytest.raises(ValueError, match=r"fit|band"):
        LogMel(**(sizes | wrong))


def test_the_level_of_a_sine_is_its_amplitude_by_root_two():
    assert rms(_tone(1000)) == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
    assert rms(np.zeros(0, np.float32)) == 0


def test_frames_in_a_row_stand_one_after_the_other():
    log_mel = np.arange(2 * 7 * 3, dtype=np.float32).reshape(2, 7, 3)
    runs = frames_of(log_mel, context=5)
    assert runs.shape == (2 * 3, 15)
    assert np.array_equal(runs[1], log_mel[0, 1:6].ravel())
    assert np.array_equal(runs[3], log_mel[1, :5].ravel())
