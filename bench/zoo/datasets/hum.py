"""Synthetic hum: made-up machines that run, heard as the anomaly-detection model of MLPerf Tiny hears."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.zoo.audio import LogMel, frames_of
from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from

RATE = 16000
SECONDS = 10
RECORDINGS = 4
"""Each of evaluation and of calibration, all of different machines."""
FEATURES = LogMel(rate=RATE, samples=RATE * SECONDS, frame=1024, step=512, bands=128, low_hz=60, high_hz=8000)
CONTEXT = 5

_DECIBELS = 10 / np.log(10)


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Five log-mel frames of 128 bands in a row, in dB: [n, 640], float32; no labels, nothing to train on."""
    rng = np.random.default_rng(seed)
    heard, others = (_frames([_hum(rng) for _ in range(RECORDINGS)]) for _ in range(2))
    return Dataset(
        title,
        seed,
        None,
        calibration_from((others,), seed),
        Split((heard,), None),
        preprocessing=(
            f"synthetic: {RECORDINGS} recordings of {SECONDS} s each for evaluation and for calibration; {CONTEXT} "
            f"frames of {FEATURES.frame} samples, {FEATURES.step} apart, {FEATURES.bands} mel bands in dB, on the "
            "scale of MLPerf Tiny though not by its exact filters"
        ),
    )


def _frames(waves: list[Array]) -> Array:
    """In dB as MLPerf Tiny has them: of the unscaled power, over half the width of the band in Hz (librosa's way)."""
    low, high = (float(np.log1p(hz / 700)) for hz in (FEATURES.low_hz, FEATURES.high_hz))
    corners = 700 * np.expm1(np.linspace(low, high, FEATURES.bands + 2))
    window = np.hanning(FEATURES.frame + 1)[:-1]
    offset = 10 * np.log10(np.square(window).sum() * 2 / (corners[2:] - corners[:-2]))
    return frames_of((_DECIBELS * FEATURES(waves) + offset).astype(np.float32), CONTEXT)


def _hum(rng: np.random.Generator) -> Array:
    """A shaft with its harmonics, a gear that whines, the air around them, and the load that comes and goes."""
    time = np.arange(RATE * SECONDS) / RATE
    load = 1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time + rng.uniform(0, 2 * np.pi))
    # Under load a machine turns a little slower.
    turns = np.cumsum(rng.uniform(20, 60) * (1.02 - 0.02 * load)) / RATE
    wave = np.zeros_like(time)
    for harmonic in range(1, 30):
        phase = rng.uniform(0, 2 * np.pi)
        wave += rng.uniform(0.3, 1) / harmonic * np.sin(2 * np.pi * harmonic * turns + phase)
    teeth = rng.integers(11, 60)
    wave += rng.uniform(0.05, 0.3) * (1 + 0.5 * np.sin(2 * np.pi * turns)) * np.sin(2 * np.pi * teeth * turns)
    wave = load * wave / wave.std() + rng.uniform(0.1, 0.4) * _pink(len(time), rng)
    return np.asarray(rng.uniform(0.02, 0.1) * wave, np.float32)


def _pink(samples: int, rng: np.random.Generator) -> Array:
    """Noise whose power falls as 1/f, standard deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / noise.std())
