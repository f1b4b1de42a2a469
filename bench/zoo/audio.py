"""Sound as a model sees it: waves from files, and their log-mel energies."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import UserError
from bench.zoo.datasets.base import Array

FLOOR = 1e-8
"""Added to every mel energy before the logarithm: 80 dB below a signal whose mean square is 1."""

_CLIPS = 256


def read_wav(content: bytes) -> tuple[int, Array]:
    """Samples a second, and the wave [samples] as float32 in -1..1; several channels become their mean.

    Raises:
        UserError: not a WAV file that SciPy can read.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # SciPy reads a file that was cut short, with a warning; tags and other chunks without sound are fine.
            warnings.simplefilter("error", wavfile.WavFileWarning)
            warnings.filterwarnings("ignore", r"Chunk \(non-data\)", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(content))
    except (ValueError, struct.error, wavfile.WavFileWarning) as error:
        raise UserError(
            f"not a WAV file that can be read: {error}", remedy="give the whole file, as PCM or float WAV"
        ) from error
    wave = _full_scale(samples)
    return int(rate), (wave if wave.ndim == 1 else wave.mean(axis=1)).astype(np.float32)


def _full_scale(samples: Array) -> Array:
    if samples.dtype.kind == "f":
        return np.clip(samples, -1, 1)
    steps = 2.0 ** (8 * samples.dtype.itemsize - 1)
    # Eight-bit WAV is unsigned, with silence in the middle.
    middle = steps if samples.dtype.kind == "u" else 0
    return (samples.astype(np.float64) - middle) / steps


def rms(wave: Array) -> float:
    """The root of the mean square; 0 for a wave without samples."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if wave.size else 0.0


@dataclass(frozen=True)
class LogMel:
    """Log-mel energies of waves sampled `rate` times a second.

    A wave begins at the first sample of the window of `samples`; it is cut at its end, or followed by zeros.
    `frame` and `step` are in samples: there are 1 + (samples - frame) // step frames. Each is weighted by a Hann
    window and gives |FFT|² / sum(window²), so that white noise has its mean square in every bin. The mel bands
    are triangles between `low_hz` and `high_hz` on the HTK scale (`tf.signal.linear_to_mel_weight_matrix`). The
    result is ln(energy + `FLOOR`).

    With `centred` each wave is first divided by its root mean square: how loud a clip is then plays no part.
    Otherwise no statistic of the data enters.
    """

    rate: int
    samples: int
    frame: int
    step: int
    bands: int
    low_hz: float
    high_hz: float
    centred: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.frame <= self.samples:
            raise ValueError(f"a frame of {self.frame} samples does not fit into {self.samples}")
        if not 0 <= self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError(f"{self.low_hz}..{self.high_hz} Hz is no band within 0..{self.rate / 2} Hz")

    @property
    def frames(self) -> int:
        """How many frames there are in a clip."""
        return 1 + (self.samples - self.frame) // self.step

    def __call__(self, waves: Sequence[Array]) -> Array:
        """The energies [n, frames, bands], float32, of n waves of any lengths."""
        energies = np.empty((len(waves), self.frames, self.bands), np.float32)
        # In chunks, so that the spectra stay small whatever the number of waves.
        for start in range(0, len(waves), _CLIPS):
            energies[start : start + _CLIPS] = self._chunk(waves[start : start + _CLIPS])
        return energies

    def _chunk(self, waves: Sequence[Array]) -> Array:
        import tensorflow as tf

        window = tf.signal.hann_window(self.frame)
        spectra = tf.signal.stft(self._window(waves), self.frame, self.step, window_fn=tf.signal.hann_window)
        power = tf.square(tf.abs(spectra)) / tf.reduce_sum(tf.square(window))
        mel = tf.signal.linear_to_mel_weight_matrix(self.bands, spectra.shape[-1], self.rate, self.low_hz, self.high_hz)
        return np.asarray(tf.math.log(tf.tensordot(power, mel, 1) + FLOOR))

    def _window(self, waves: Sequence[Array]) -> Array:
        window = np.zeros((len(waves), self.samples), np.float32)
        for row, wave in zip(window, waves, strict=True):
            part = wave[: self.samples]
            level = rms(part) if self.centred else 1.0
            # Silence has no level to divide by.
            row[: len(part)] = part / (level or 1.0)
        return window


def frames_of(log_mel: Array, context: int = 5) -> Array:
    """Every run of `context` frames in a row: [n, frames, bands] -> [n * (frames - context + 1), context * bands].

    The frames of a run stand one after the other, and the runs of a clip likewise, as the anomaly-detection
    model of MLPerf Tiny takes them.
    """
    runs = np.lib.stride_tricks.sliding_window_view(log_mel, context, axis=1)
    return np.ascontiguousarray(np.moveaxis(runs, 3, 2).reshape(-1, context * log_mel.shape[2]))
