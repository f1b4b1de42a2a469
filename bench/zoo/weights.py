"""Ready weights: files of models that others have trained."""

from __future__ import annotations

from bench.zoo.files import DataFile, FileSet

_TINY = "https://raw.githubusercontent.com/mlcommons/tiny"
_PAGE = "https://github.com/mlcommons/tiny"


def _one(name: str, title: str, licence: str, file: DataFile) -> FileSet:
    return FileSet(name, title, licence, ((file,),), _PAGE)


WEIGHTS: dict[str, FileSet] = {
    wanted.name: wanted
    for wanted in (
        _one(
            "mlperf-tiny-resnet",
            "ResNet-8 of MLPerf Tiny, trained on CIFAR-10",
            "Apache-2.0 (MLCommons)",
            DataFile(
                "models/mlperf-tiny-resnet/pretrainedResnet.h5",
                f"{_TINY}/1afd2c9820f795965a6134facd0b4dfae41ef23f/benchmark/training/image_classification"
                "/trained_models/pretrainedResnet.h5",
                "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f",
                1_116_712,
            ),
        ),
        _one(
            "mlperf-tiny-ad",
            "Autoencoder of MLPerf Tiny, trained on the sounds of toy cars",
            "Apache-2.0 (MLCommons), MIT (Hitachi)",
            DataFile(
                "models/mlperf-tiny-ad/ad01.h5",
                f"{_TINY}/4addd0fa08d216e20637637874e084895f289da4/benchmark/training/anomaly_detection"
                "/trained_models/ad01.h5",
                "651a62de1b7facd68d1269373992a2d09ffd28e6a816935d4834fcc558bde512",
                3_411_016,
            ),
        ),
    )
}


def weights_path(name: str) -> str:
    """The `DataFile.path` of the file called `name`: its key in what `locate` and `fetch` give."""
    return WEIGHTS[name].files[0][0].path
