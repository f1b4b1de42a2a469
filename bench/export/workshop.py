"""All that a variant's function needs: the opened source, its data, and float files made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.export.errors import CannotMake
from bench.export.messages import Request
from bench.export.origin import Array, Feed, Origin, feeds, generated
from bench.zoo import datasets, userdata
from bench.zoo.card import ModelCard, Pruning, load_card
from bench.zoo.datasets.base import Split
from bench.zoo.find import ModelSource

GENERATED_EXAMPLES = 64
TRAINED_FOLDER = "trained"


@dataclass(frozen=True)
class Material:
    """Evaluation, calibration and training data; None where there is none."""

    name: str
    inputs: tuple[Array, ...]
    labels: Array | None
    calibration: tuple[Array, ...] | None
    train: Split | None
    generated: bool = False


@dataclass
class Workshop:
    """`folder` is the bundle's; `scratch` is thrown away at the end."""

    source: ModelSource
    card: ModelCard | None
    origin: Origin
    material: Material
    folder: Path
    scratch: Path
    seed: int
    report: Callable[[str], None]
    _float: dict[bool, tuple[Path, list[str]]] = field(default_factory=dict)

    def calibration(self) -> list[Feed]:
        """One feed an example of the calibration data. Raises `CannotMake` where there is none."""
        if self.material.calibration is None:
            raise CannotMake("no calibration data (give it with --data: the array 'calibration')")
        return feeds(self.material.calibration, self.origin.inputs)

    def float_onnx(self, *, pruned: bool = False) -> tuple[Path, list[str]]:
        """The float32 ONNX file that other variants start from, and its notes. Raises `CannotMake`."""
        if pruned not in self._float:
            path = self.scratch / f"float{'-pruned' if pruned else ''}.onnx"
            notes = self.origin.float_onnx(path, pruned=pruned)
            self._float[pruned] = (path, notes)
        path, notes = self._float[pruned]
        return path, list(notes)


def open_workshop(request: Request, scratch: Path, report: Callable[[str], None]) -> Workshop:
    """Read the model and its data; a zoo model is trained where the cache has no trained one.

    Raises:
        UserError: the model or the data cannot be used.
    """
    source, folder = request.source, Path(request.folder)
    kept = folder / TRAINED_FOLDER
    card: ModelCard | None = None
    origin: Origin
    if source.kind == "zoo":
        from bench.export.keras_origin import KerasOrigin, Tuning, zoo_model, zoo_vary

        card = load_card(Path(source.path))
        data = datasets.load(card.dataset, request.seed)
        again = partial(zoo_model, Path(source.path), card, data, kept, report)
        model = again()
        vary = zoo_vary(Path(source.path))
        tuning = Tuning(card.pruning, again, lambda: None, vary, card.task, kept, request.seed, report)
        origin = KerasOrigin(model, data.train, tuning)
        material = Material(data.name, data.evaluation.inputs, data.evaluation.labels, data.calibration, data.train)
        return Workshop(source, card, origin, material, folder, scratch, request.seed, report)
    report("reading the model")
    match source.kind:
        case "onnx":
            from bench.export.onnx_origin import OnnxOrigin

            origin = OnnxOrigin(Path(source.path), request.seed)
            material = _material(request, origin)
        case "tflite":
            from bench.export.tflite_origin import TfliteOrigin

            origin = TfliteOrigin(Path(source.path))
            material = _material(request, origin)
        case "keras":
            from bench.export.keras_origin import KerasOrigin, Tuning, compiled_loss, load_user_model

            path = Path(source.path)
            again = partial(load_user_model, path)
            tuning = Tuning(Pruning(), again, partial(compiled_loss, path), None, None, kept, request.seed, report)
            user = KerasOrigin(again(), None, tuning)
            material = _material(request, user)
            user.train = material.train
            origin = user
        case _:
            from bench.export.keras_origin import SavedModelOrigin

            origin = SavedModelOrigin(Path(source.path))
            material = _material(request, origin)
    return Workshop(source, card, origin, material, folder, scratch, request.seed, report)


def _material(request: Request, origin: Origin) -> Material:
    if request.data is not None:
        given = userdata.read(Path(request.data), origin.inputs, request.seed)
        return Material(given.name, given.inputs, given.labels, given.calibration, given.train)
    name = f"generated inputs (standard normal, seed {request.seed})"
    inputs = generated(origin.inputs, GENERATED_EXAMPLES, request.seed)
    return Material(name, inputs, None, None, None, generated=True)
