"""20 newsgroups: posts of 1993, sorted by date into the official training and test parts."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.clean import Sieve
from bench.zoo.datasets.base import Dataset
from bench.zoo.datasets.texts import of_texts
from bench.zoo.datasets.words import plain
from bench.zoo.files import the_one_in

LENGTH = 128
GROUPS = 20

_NAME = re.compile(r"20news-bydate-(train|test)/([a-z.\-]+)/(\d+)$")
_LARGEST = 1 << 20
_QUOTED = re.compile(r"^\s*[>|:]|^In article|writes:?\s*$|wrote:?\s*$|says:?\s*$")
_SIGNATURE = re.compile(r"\n-{2,}\s*\n")


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Word numbers [n, 128], int32; labels 0..19, the groups by the alphabet. The official test part is held out.

    Raises:
        UserError: the file is not the archive.
    """
    path = the_one_in("newsgroups", files)
    posts = _posts(path)
    groups = sorted({group for _, group, _ in posts})
    if len(groups) != GROUPS:
        raise _not_the_archive(path, f"it holds {len(groups)} groups instead of {GROUPS}")
    is_test = np.array([part == "test" for part, _, _ in posts])
    labels = np.array([groups.index(group) for _, group, _ in posts], dtype=np.int64)
    texts = [_body(text) for _, _, text in posts]
    words = [plain(text) for text in texts]
    sieve = Sieve(len(posts))
    sieve.drop(
        np.array([not text for text in words]),
        "posts without a word of their own",
        "all of it was header, quotation or signature",
    )
    # Test posts come first, so that of copies in both parts the training one goes.
    order = np.argsort(~is_test, kind="stable")
    copies = Sieve(len(posts))
    copies.without_copies([" ".join(words[at].split()[:LENGTH]) or str(at) for at in order], labels[order])
    kept = np.intersect1d(sieve.kept, order[copies.kept])
    train, held_out = (
        ([texts[at] for at in part], labels[part]) for part in (kept[~is_test[kept]], kept[is_test[kept]])
    )
    return of_texts(title, seed, train, held_out, LENGTH, (*sieve.report, *copies.report))


def _body(post: str) -> str:
    """What the author wrote: no header, no quoted lines, no signature."""
    _, _, text = post.partition("\n\n")
    own = "\n".join(line for line in text.split("\n") if not _QUOTED.search(line))
    return _SIGNATURE.split(own, maxsplit=1)[0]


def _posts(path: Path) -> list[tuple[str, str, str]]:
    """Part, group and text of each post, in the order of their names. Nothing is unpacked to the disk."""
    found = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = _NAME.search(member.name)
                if name is None or not member.isfile():
                    continue
                if member.size > _LARGEST:
                    raise _not_the_archive(path, f"{member.name} is larger than {_LARGEST:,} B")
                content = archive.extractfile(member)
                assert content is not None
                found.append((name[1], name[2], int(name[3]), content.read().decode("latin-1")))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _not_the_archive(path, str(error)) from error
    return [(part, group, text) for part, group, _, text in sorted(found)]


def _not_the_archive(path: Path, why: str) -> UserError:
    return UserError(
        f"not the archive of 20 newsgroups: {why}", where=str(path), remedy="remove it and run `bench fetch newsgroups`"
    )
