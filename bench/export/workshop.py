"""All that a variant's function needs: the opened source, its data, and float files made once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.export.errors import CannotMake
from bench.export.inputs import AxisNames, resolve
from bench.export.messages import Request
from bench.export.origin import Array, Feed, Origin, feeds
from bench.export.pruned import Pruned
from bench.export.state import recorded
from bench.record.artifact import Cleaned
from bench.training.follow import Follower
from bench.training.report import Report
from bench.zoo import userdata
from bench.zoo.card import ModelCard, Pruning
from bench.zoo.datasets.base import Baseline, Corruptor, Dataset, Split
from bench.zoo.find import ModelSource, source_card

GENERATED_EXAMPLES = 64
KEPT_FOLDER = "trained"


@dataclass(frozen=True)
class Material:
    """Evaluation, calibration and training data; None where there is none.

    `state` holds positions (input, output) of a model with memory, whose inputs have its recorded states; `starts`
    are the examples that begin a sequence.
    """

    name: str
    inputs: tuple[Array, ...]
    labels: Array | None
    calibration: tuple[Array, ...] | None
    train: Split | None
    generated: bool = False
    corrupt: Corruptor | None = None
    baseline: Baseline | None = None
    cleaning: tuple[Cleaned, ...] = ()
    preprocessing: str = ""
    state: tuple[tuple[int, int], ...] = ()
    starts: tuple[int, ...] = ()


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
    report: Report
    _float: dict[Pruned | None, tuple[Path, list[str]]] = field(default_factory=dict)

    def calibration(self) -> list[Feed]:
        """One feed an example of the calibration data. Raises `CannotMake` where there is none."""
        if self.material.calibration is None:
            raise CannotMake("no calibration data (give it with --data: the array 'calibration')")
        return feeds(self.material.calibration, self.origin.inputs)

    def float_onnx(self, pruned: Pruned | None = None) -> tuple[Path, list[str]]:
        """The float32 ONNX file that other variants start from, and its notes. Raises `CannotMake`."""
        if pruned not in self._float:
            path = self.scratch / f"float{'' if pruned is None else '-' + pruned.label}.onnx"
            notes = self.origin.float_onnx(path, pruned=pruned)
            self._float[pruned] = (path, notes)
        path, notes = self._float[pruned]
        return path, list(notes)


def open_workshop(request: Request, scratch: Path, report: Report, follower: Follower) -> Workshop:
    """Read the model and its data; a zoo model is trained where the cache has no trained one.

    Raises:
        UserError: the model or the data cannot be used.
    """
    source, folder = request.source, Path(request.folder)
    card: ModelCard | None = None
    origin: Origin
    if source.kind == "zoo":
        from bench.export.zoo_origin import open_zoo

        card = source_card(source)
        origin, data = open_zoo(request, card, report, follower)
        return Workshop(source, card, origin, _of(data), folder, scratch, request.seed, report)
    report("reading the model")
    match source.kind:
        case "onnx":
            from bench.export.onnx_origin import OnnxOrigin

            graph = OnnxOrigin(Path(source.path), request.seed)
            material = _material(request, graph, graph.axes)
            graph.trial = material.inputs
            origin = graph
        case "torch":
            from bench.export.torch_origin import TorchOrigin

            report("converting the PyTorch program to ONNX")
            program = TorchOrigin(Path(source.path), scratch, request.seed)
            material = _material(request, program, program.axes)
            program.trial = material.inputs
            origin = program
        case "tflite":
            from bench.export.tflite_origin import TfliteOrigin

            origin = TfliteOrigin(Path(source.path))
            material = _material(request, origin)
        case "keras":
            from bench.export.keras_origin import KerasOrigin, Tuning, compiled_loss, load_user_model

            path = Path(source.path)
            again = partial(load_user_model, path)
            tuning = Tuning(
                Pruning(), again, partial(compiled_loss, path), None, None, folder / KEPT_FOLDER, request.seed, report
            )
            user = KerasOrigin(again(), None, tuning)
            material = _material(request, user)
            user.train = material.train
            origin = user
        case _:
            from bench.export.keras_origin import SavedModelOrigin

            origin = SavedModelOrigin(Path(source.path))
            material = _material(request, origin)
    return Workshop(source, card, origin, material, folder, scratch, request.seed, report)


def _of(data: Dataset) -> Material:
    return Material(
        data.name,
        data.evaluation.inputs,
        data.evaluation.labels,
        data.calibration,
        data.train,
        corrupt=data.corrupt,
        baseline=data.baseline,
        cleaning=data.cleaning,
        preprocessing=data.preprocessing,
    )


def _material(request: Request, origin: Origin, names: AxisNames | None = None) -> Material:
    feeding = resolve(request.inputs, origin.inputs, origin.outputs, names)
    if request.data is not None:
        given = userdata.read(
            Path(request.data),
            feeding.specs,
            request.seed,
            left_out=feeding.fills(request.seed),
            stateful=bool(feeding.state),
        )
        about = f" ({feeding.about(given.filled, request.seed)})" if given.filled else ""
        material = Material(given.name + about, given.inputs, given.labels, given.calibration, given.train)
        starts = given.starts
    else:
        about = feeding.about([spec.name for spec in feeding.specs], request.seed)
        inputs = feeding.generated(GENERATED_EXAMPLES, request.seed)
        material = Material(f"generated inputs ({about})", inputs, None, None, None, generated=True)
        starts = (0,)
    if not feeding.state:
        return material
    places = [[spec.name for spec in specs] for specs in (origin.inputs, origin.outputs)]
    state = tuple((places[0].index(name), places[1].index(output)) for name, output in feeding.state)
    calibration = material.calibration
    return replace(
        material,
        inputs=recorded(origin.run, material.inputs, origin.inputs, state, starts),
        calibration=None if calibration is None else recorded(origin.run, calibration, origin.inputs, state, (0,)),
        state=state,
        starts=starts,
    )
