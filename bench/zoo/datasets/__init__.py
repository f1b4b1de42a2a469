"""The data sets that zoo models are trained and judged on: one file a data set and one line in this table."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from bench.errors import UserError, unknown
from bench.zoo.files import DataFile, FileSet

if TYPE_CHECKING:
    from bench.zoo.datasets.base import Dataset

Kind = Literal["image", "audio", "text", "tabular", "interactions"]

AUGMENTATIONS: dict[Kind, tuple[str, ...]] = {
    "image": ("rotation", "shift", "shear", "zoom", "flip"),
    "audio": ("noise", "shift", "speed"),
    "text": ("word_dropout",),
    "tabular": (),
    "interactions": (),
}
"""What of `bench.zoo.augment.options.Augmentation` each kind of data knows."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(FileSet):
    """A data set as pure data.

    `title` stands in every table; the versions of `packages` and the content of `files` decide what it holds.
    `options` go to the loader in `module`.
    """

    module: str
    kind: Kind
    packages: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)


def _mnist(part: str, size: int, sha256: str) -> tuple[DataFile]:
    name = f"mnist/{part}-ubyte.gz"
    return (DataFile(name, f"https://storage.googleapis.com/cvdf-datasets/{name}", sha256, size),)


# The hashes are those that tensorflow-datasets checks.
_MNIST = (
    _mnist("train-images-idx3", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    _mnist("train-labels-idx1", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    _mnist("t10k-images-idx3", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    _mnist("t10k-labels-idx1", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)
_MNIST_LICENCE = "CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. Burges)"
_MNIST_PAGE = "https://github.com/cvdfoundation/mnist"

_FSDD = (
    (
        DataFile(
            "fsdd/recordings.zip", None, "2b86342080ff4acf16e80a77ba8a963e8792d5a7a5b5af24dfdf2cfaadebba48", 16_161_380
        ),
        DataFile(
            "fsdd/free-spoken-digit-dataset-1.0.10.zip",
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
            "c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
            16_419_872,
        ),
    ),
)
_FSDD_LICENCE = "CC BY-SA 4.0 (Z. Jackson and others)"
_FSDD_PAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"

DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="mnist",
            title="MNIST",
            module="bench.zoo.datasets.mnist",
            licence=_MNIST_LICENCE,
            kind="image",
            files=_MNIST,
            page=_MNIST_PAGE,
        ),
        DatasetSpec(
            name="mnist-32x32x3",
            title="MNIST padded to 32x32x3",
            module="bench.zoo.datasets.mnist",
            licence=_MNIST_LICENCE,
            kind="image",
            files=_MNIST,
            page=_MNIST_PAGE,
            options={"form": "32x32x3"},
        ),
        DatasetSpec(
            name="digits-28x28",
            title="digits-28x28 (scikit-learn)",
            module="bench.zoo.datasets.digits",
            licence="CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)",
            kind="image",
            packages=("scikit-learn",),
        ),
        DatasetSpec(
            name="photo-crops-32x32x3",
            title="crops 32x32x3 of two photographs (scikit-learn)",
            module="bench.zoo.datasets.photos",
            licence="CC BY 2.0 (china.jpg: danielbuechele, flower.jpg: vultilion, both on Flickr)",
            kind="image",
            packages=("scikit-learn", "pillow"),
        ),
        DatasetSpec(
            name="fsdd-random",
            title="FSDD, random split",
            module="bench.zoo.datasets.fsdd",
            licence=_FSDD_LICENCE,
            kind="audio",
            packages=("tensorflow", "tensorflow-cpu", "scipy"),
            files=_FSDD,
            page=_FSDD_PAGE,
            options={"split": "random"},
        ),
        DatasetSpec(
            name="fsdd-by-speaker",
            title="FSDD, split by speaker",
            module="bench.zoo.datasets.fsdd",
            licence=_FSDD_LICENCE,
            kind="audio",
            packages=("tensorflow", "tensorflow-cpu", "scipy"),
            files=_FSDD,
            page=_FSDD_PAGE,
            options={"split": "by-speaker"},
        ),
        DatasetSpec(
            name="sms-spam",
            title="SMS Spam Collection",
            module="bench.zoo.datasets.sms",
            licence="CC BY 4.0 (T. Almeida, J. M. Gómez Hidalgo; UCI 228)",
            kind="text",
            files=(
                (
                    DataFile(
                        "sms-spam/SMSSpamCollection",
                        None,
                        "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
                        477_907,
                    ),
                    # The hash is the one that Hugging Face's data set sms_spam checks.
                    DataFile(
                        "sms-spam/sms+spam+collection.zip",
                        "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
                        "1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
                        203_415,
                    ),
                ),
            ),
            page="https://archive.ics.uci.edu/dataset/228/sms+spam+collection",
        ),
        DatasetSpec(
            name="newsgroups",
            title="20 newsgroups by date",
            module="bench.zoo.datasets.newsgroups",
            licence="public newsgroup posts; their authors keep the copyright (K. Lang, J. Rennie)",
            kind="text",
            files=(
                (
                    # Address and hash are those that scikit-learn checks.
                    DataFile(
                        "newsgroups/20news-bydate.tar.gz",
                        "https://ndownloader.figshare.com/files/5975967",
                        "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
                    ),
                ),
            ),
            page="http://qwone.com/~jason/20Newsgroups/",
        ),
        DatasetSpec(
            name="uci-credit-default",
            title="UCI default of credit card clients",
            module="bench.zoo.datasets.credit",
            licence="CC BY 4.0 (I.-C. Yeh; UCI 350)",
            kind="tabular",
            packages=("polars", "scikit-learn"),
            files=(
                (
                    DataFile(
                        "uci-credit-default/UCI_Credit_Card.csv",
                        None,
                        "023eb2c3ad9efd15e7869616fa50a0143f25223105c7069ba632431530afdb61",
                        2_905_603,
                    ),
                    DataFile(
                        "uci-credit-default/data.csv",
                        "https://archive.ics.uci.edu/static/public/350/data.csv",
                        "45bcf4df62ff2e237a74eb155cabfb4bbbc171219a0637daef44fdad07503dd0",
                        2_897_080,
                    ),
                ),
            ),
            page="https://archive.ics.uci.edu/dataset/350/default+of+credit+card+clients",
        ),
        DatasetSpec(
            name="diabetes",
            title="diabetes (scikit-learn)",
            module="bench.zoo.datasets.diabetes",
            licence="published with Efron and others, Least Angle Regression (2004); in scikit-learn, BSD 3-clause",
            kind="tabular",
            packages=("scikit-learn",),
        ),
        DatasetSpec(
            name="line-y-2x",
            title="line y = 2x",
            module="bench.zoo.datasets.line",
            licence="Apache-2.0",
            kind="tabular",
        ),
        DatasetSpec(
            name="interactions-synthetic",
            title="synthetic interactions of 1,000 users with 800 items",
            module="bench.zoo.datasets.synthetic_interactions",
            licence="Apache-2.0",
            kind="interactions",
        ),
        DatasetSpec(
            name="movielens-100k",
            title="MovieLens 100k",
            module="bench.zoo.datasets.movielens",
            licence="GroupLens usage licence (no redistribution, no commercial use without permission)",
            kind="interactions",
            files=(
                (
                    DataFile("movielens-100k/u.data"),
                    # The hash is the one that tensorflow-datasets checks.
                    DataFile(
                        "movielens-100k/ml-100k.zip",
                        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                        4_924_029,
                    ),
                ),
            ),
            page="https://grouplens.org/datasets/movielens/100k/",
            terms="https://files.grouplens.org/datasets/movielens/ml-100k-README.txt (research use, cite Harper and "
            "Konstan 2015, no redistribution, no commercial use without permission).",
        ),
        DatasetSpec(
            name="hum-synthetic",
            title="synthetic hum of machines, 16 kHz",
            module="bench.zoo.datasets.hum",
            licence="Apache-2.0",
            kind="audio",
            packages=("tensorflow", "tensorflow-cpu", "scipy"),
        ),
    )
}


def load(name: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """The data set called `name`, split by `seed`. `files` gives where each `DataFile.path` that is there lies.

    Raises:
        UserError: a name that is not in the table, or a file that is not what it should be.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    spec = DATASETS[name]
    try:
        return cast("Dataset", importlib.import_module(spec.module).load(spec.title, seed, files, **spec.options))
    except (ValueError, IndexError, KeyError, EOFError) as error:
        raise UserError(
            f"{spec.title} cannot be read: {type(error).__name__}: {error}",
            where=", ".join(str(place) for place in files.values()) or name,
            remedy=f"remove the files and run `bench fetch {name}`",
        ) from error
