"""SMS Spam Collection: text messages, wanted or not."""

from __future__ import annotations

import html
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.clean import Sieve
from bench.zoo.datasets.base import Dataset
from bench.zoo.datasets.split import stratified
from bench.zoo.datasets.texts import of_texts
from bench.zoo.datasets.words import plain
from bench.zoo.files import the_one_in

LENGTH = 48
HELD_OUT = 0.2

_LABELS = {"ham": 0, "spam": 1}
_MEMBER = "SMSSpamCollection"
_LARGEST = 1 << 24


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Word numbers [n, 48], int32; labels 0 (ham) and 1 (spam). `HELD_OUT` of each is kept for evaluation.

    Raises:
        UserError: the file is not the collection.
    """
    path = the_one_in("sms-spam", files)
    lines = [line.partition("\t") for line in _content(path).splitlines()]
    strange = next((at for at, (label, tab, _) in enumerate(lines, 1) if not tab or label not in _LABELS), None)
    if not lines or strange:
        raise _not_the_collection(path, f"line {strange or 1} does not begin with ham or spam and a tab")
    labels = np.array([_LABELS[label] for label, _, _ in lines], dtype=np.int64)
    texts = [html.unescape(text) for _, _, text in lines]
    sieve = Sieve(len(texts))
    escaped = sum(text != line[2] for text, line in zip(texts, lines, strict=True))
    sieve.note("messages with HTML such as &lt;: written out", escaped, "the telephone did not show it")
    words = [plain(text) for text in texts]
    sieve.drop(np.array([not text for text in words]), "messages without a word", "there is nothing to judge by")
    # Compared as the model sees them: chain letters come back with other capitals and full stops.
    sieve.without_copies([" ".join(text.split()[:LENGTH]) for text in words], labels)
    kept = sieve.kept
    train, held_out = (
        ([texts[at] for at in part], labels[part])
        for part in (kept[rows] for rows in stratified(labels[kept], HELD_OUT, seed))
    )
    return of_texts(title, seed, train, held_out, LENGTH, sieve.report)


def _content(path: Path) -> str:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
                raw = member.read(_LARGEST + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise _not_the_collection(path, f"it is larger than {_LARGEST:,} B")
        return raw.decode()
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, ValueError) as error:
        raise _not_the_collection(path, str(error)) from error


def _not_the_collection(path: Path, why: str) -> UserError:
    return UserError(
        f"not the SMS Spam Collection: {why}", where=str(path), remedy="remove it and run `bench fetch sms-spam`"
    )
