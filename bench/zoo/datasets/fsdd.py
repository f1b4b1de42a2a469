"""Free Spoken Digit Dataset: English digits by six speakers, sampled 8,000 times a second."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.audio import LogMel, read_wav, rms
from bench.zoo.augment.audio import AudioVary
from bench.zoo.clean import Sieve
from bench.zoo.corrupt.audio import AudioCorruptor
from bench.zoo.datasets.base import Array, Dataset, Ints, Split, calibration_from
from bench.zoo.datasets.split import stratified
from bench.zoo.files import the_one_in

RATE = 8000
HELD_OUT = 0.2
SPEAKERS_HELD_OUT = 2
FEATURES = LogMel(rate=RATE, samples=RATE, frame=256, step=160, bands=20, low_hz=60, high_hz=4000, centred=True)

_NAME = re.compile(r"(?:^|/)recordings/(\d)_([a-z]+)_\d+\.wav$")
_LARGEST = 1 << 20
_SHORTEST_S = 0.05


def load(title: str, seed: int, files: Mapping[str, Path], split: str) -> Dataset:
    """Log-mel energies [n, 49, 20, 1], float32; labels 0..9.

    `split` "random" keeps `HELD_OUT` of the clips of each digit for evaluation, "by-speaker" all clips of
    `SPEAKERS_HELD_OUT` speakers, whom training has never heard.

    Raises:
        UserError: the file is not the collection.
    """
    path = the_one_in("fsdd", files)
    clips = _clips(path)
    waves = [wave for _, _, (_, wave) in clips]
    labels = np.array([digit for digit, _, _ in clips], dtype=np.int64)
    sieve = Sieve(len(clips))
    sieve.drop(np.array([rate != RATE for _, _, (rate, _) in clips]), f"clips not at {RATE} Hz", "another collection's")
    sieve.drop(
        np.array([len(wave) < _SHORTEST_S * RATE for wave in waves]), "clips below 50 ms", "no digit is as short"
    )
    sieve.drop(np.array([rms(wave) == 0 for wave in waves]), "silent clips", "nothing is said")
    sieve.without_copies([wave.tobytes() for wave in waves], labels)
    long = sum(len(waves[at]) > FEATURES.samples for at in sieve.kept)
    sieve.note("clips of more than a second: cut at its end", long, "the model hears one second")
    kept = sieve.kept
    if split == "random":
        train, held_out = (kept[rows] for rows in stratified(labels[kept], HELD_OUT, seed))
        who = ""
    else:
        speakers = np.array([speaker for _, speaker, _ in clips])
        strangers = _drawn(speakers[kept], seed)
        train, held_out = kept[~np.isin(speakers[kept], strangers)], kept[np.isin(speakers[kept], strangers)]
        who = f"; held out: {' and '.join(strangers)}"
    heard, unheard = _of(waves, train), _of(waves, held_out)
    training, evaluation = Split((_features(heard),), labels[train]), Split((_features(unheard),), labels[held_out])
    return Dataset(
        title,
        seed,
        training,
        calibration_from(training.inputs, seed),
        evaluation,
        cleaning=sieve.report,
        vary=AudioVary(heard, RATE, _features),
        corrupt=AudioCorruptor(unheard, RATE, _features),
        preprocessing=(
            "one second from the start of the clip, divided by its root mean square; "
            f"{FEATURES.frames} frames of 32 ms every 20 ms, the logarithm of the energy in {FEATURES.bands} mel "
            f"bands{who}"
        ),
    )


def _features(waves: Sequence[Array]) -> Array:
    return FEATURES(waves)[..., None]


def _drawn(speakers: Array, seed: int) -> list[str]:
    names = np.unique(speakers)
    if len(names) <= SPEAKERS_HELD_OUT:
        raise UserError(
            f"there are clips of {len(names)} speakers only",
            where="Free Spoken Digit Dataset",
            remedy="give the whole collection, six speakers",
        )
    return sorted(np.random.default_rng(seed).choice(names, SPEAKERS_HELD_OUT, replace=False).tolist())


def _of(waves: Sequence[Array], chosen: Ints) -> list[Array]:
    return [waves[at] for at in chosen]


def _clips(path: Path) -> list[tuple[int, str, tuple[int, Array]]]:
    """Digit, speaker, and rate with wave of each clip, in the order of their names."""
    try:
        with zipfile.ZipFile(path) as archive:
            named = sorted((info.filename, info) for info in archive.infolist() if _NAME.search(info.filename))
            if any(info.file_size > _LARGEST for _, info in named):
                raise _not_the_collection(path, f"a clip is larger than {_LARGEST:,} B")
            sounds = [(name, _sound(path, name, archive.read(info))) for name, info in named]
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _not_the_collection(path, str(error)) from error
    if not sounds:
        raise _not_the_collection(path, "it holds no recordings/<digit>_<speaker>_<number>.wav")
    parts = [(_NAME.search(name), sound) for name, sound in sounds]
    return [(int(found[1]), found[2], sound) for found, sound in parts if found]


def _sound(path: Path, name: str, content: bytes) -> tuple[int, Array]:
    try:
        return read_wav(content)
    except UserError as error:
        raise _not_the_collection(path, f"{name}: {error.what}") from error


def _not_the_collection(path: Path, why: str) -> UserError:
    return UserError(
        f"not the Free Spoken Digit Dataset: {why}",
        where=str(path),
        remedy="remove it and run `bench fetch fsdd-random`",
    )
