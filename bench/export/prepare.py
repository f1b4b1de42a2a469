"""The parent's side of an export: what is cached is kept, the rest is made in a child process."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.export import messages as msg
from bench.export.cache import bundle_key, tool_versions
from bench.export.errors import PASSING, ExportError
from bench.export.inputs import Descriptions
from bench.export.recipes import Definition, Wanted, key_of, wanted
from bench.export.training_log import Meter, TrainingLog
from bench.export.uses import lock_of, mark_used
from bench.export.variants import SOURCE
from bench.files import write_whole
from bench.process import ChildProcess
from bench.record import codec
from bench.record.artifact import BUNDLE_SCHEMA, Bundle, DataInfo, Format, ModelInfo, Unavailable
from bench.record.observation import Confinement
from bench.training.key import training_key
from bench.training.report import Report, check_board
from bench.wire import WireError
from bench.zoo.find import ModelSource, source_card
from bench.zoo.hashing import file_sha256
from bench.zoo.ingredients import gather

BUNDLE_FILE = "bundle.json"


def prepare(
    source: ModelSource,
    variants: Sequence[tuple[str, Format]],
    *,
    own: Mapping[str, Definition] | None = None,
    data: Path | None = None,
    inputs: Descriptions | None = None,
    cache: Path,
    seed: int = 0,
    progress: Report,
    timeout_s: float = 900,
    meter: Meter | None = None,
    tensorboard: Path | None = None,
    network: bool = True,
) -> Path:
    """The folder of a bundle that has each of `variants` as an artifact or as unavailable with its reason.

    `own` are the variants that the user defined. The folder may hold more, and other recipes under the same name:
    see `bench.export.recipes.only`.

    What the cache holds whole is not made again; nothing is started where nothing is missing. Two processes
    may call this at once for the same model: the second waits. `inputs` say how the inputs of a user's model are
    fed. `timeout_s` bounds the waiting and the silence of the child. A source that is already quantised has the
    artifact `source` in place of `fp32`. `meter` measures the energy of a training; `tensorboard` is a folder that
    gets its scalars. Without `network` the export process has none, or nothing is made.

    Raises:
        UserError: an unknown variant, or a model or data that cannot be read.
        ExportError: the export process crashed outside any variant, or the time was over.
    """
    chosen = [wanted(variant, fmt, own) for variant, fmt in variants]
    if source.kind == "zoo" and data is not None:
        raise UserError(
            f"the zoo model {source.name} brings its own data",
            where="--data",
            remedy="leave --data out, or give a model file",
        )
    if source.kind == "zoo" and inputs:
        raise UserError(
            f"the zoo model {source.name} brings its own data",
            where=inputs.where,
            remedy="describe the inputs of model files only",
        )
    _check_tools(source)
    if tensorboard is not None:
        check_board()
    ingredients, trained = _zoo(source, cache, seed, progress)
    log = TrainingLog(trained, meter, tensorboard)
    folder = cache.expanduser().resolve() / "bundles" / bundle_key(source, data, seed, inputs)
    lock = FileLock(lock_of(folder))
    with contextlib.ExitStack() as after:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            after.callback(lock.release)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                progress(f"waiting for another process that exports {source.name}")
                lock.acquire(timeout=timeout_s)
            mark_used(cache, folder, trained, *ingredients.values())
        except Timeout as error:
            raise ExportError(
                f"another process has been exporting {source.name} for over {timeout_s:g} s ({lock.lock_file})"
            ) from error
        except OSError as error:
            raise UserError(
                f"the cache cannot be written: {error.strerror}",
                where=str(cache),
                remedy="set BENCH_CACHE_DIR to a folder of yours",
            ) from error
        with log.held(timeout_s):
            _Desk(
                source,
                data,
                folder,
                log,
                ingredients,
                inputs=inputs or Descriptions(),
                seed=seed,
                progress=progress,
                timeout_s=timeout_s,
                network=network,
            ).fill(chosen)
    return folder


def _zoo(source: ModelSource, cache: Path, seed: int, progress: Report) -> tuple[dict[str, str], Path | None]:
    """What a zoo model is made of, fetched where it is missing, and the folder of its weights."""
    if source.kind != "zoo":
        return {}, None
    card = source_card(source)
    ingredients = {name: str(path.absolute()) for name, path in gather(card, progress).items()}
    key = training_key(Path(source.path), card, seed)
    return ingredients, cache.expanduser().resolve() / "trained" / f"{card.label}-{key}"


_KERAS_TOOLS = ("tensorflow", "tf2onnx", "onnxslim", "sklearn")
_TORCH_TOOLS = ("torch", "onnxscript")
_ONNX_TOOLS = ("onnx", "onnxslim", "onnxconverter_common")


def _check_tools(source: ModelSource) -> None:
    """Say at once where this is the slim install, which runs bundles only."""
    needed = {"onnx": _ONNX_TOOLS, "torch": _ONNX_TOOLS, "tflite": ("ai_edge_quantizer",)}.get(
        source.kind, _KERAS_TOOLS
    )
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"this install cannot export {source.name}: it has no {', '.join(missing)}",
            where=source.about,
            remedy="install the whole package (pip install counterpoise), or run a bundle made with `bench export`",
        )
    if source.kind == "torch" and any(importlib.util.find_spec(name) is None for name in _TORCH_TOOLS):
        raise UserError(
            "a PyTorch program is converted by PyTorch, which is not installed here",
            where=source.about,
            remedy="pip install 'counterpoise[torch]', or give the model as .onnx",
        )


class _Desk:
    """One bundle folder while its lock is held."""

    def __init__(
        self,
        source: ModelSource,
        data: Path | None,
        folder: Path,
        log: TrainingLog,
        ingredients: dict[str, str],
        *,
        inputs: Descriptions,
        seed: int,
        progress: Report,
        timeout_s: float,
        network: bool,
    ) -> None:
        self._source = source
        self._inputs = inputs
        self._data = data
        self._folder = folder
        self._log = log
        self._ingredients = ingredients
        self._seed = seed
        self._progress = progress
        self._timeout_s = timeout_s
        self._network = network
        self._bundle = _whole_bundle(folder)

    def fill(self, variants: Sequence[Wanted]) -> None:
        asked = list({each.key: each for each in variants}.values())
        self._forget_passing(asked)
        while missing := [each for each in asked if not self._covers(each)]:
            blamed = self._run_child(missing)
            if blamed is None:
                left = [each for each in missing if not self._covers(each)]
                if left:
                    names = ", ".join(f"{each.format} {each.variant}" for each in left)
                    raise ExportError(f"the export process finished without a word about {names}")

    def _covers(self, each: Wanted) -> bool:
        if self._bundle is None:
            return False
        answered = {key_of(answer) for answer in self._bundle.answers}
        as_given = wanted(SOURCE, each.format).key
        return each.key in answered or (each.recipe.base == "fp32" and as_given in answered)

    def _forget_passing(self, asked: Sequence[Wanted]) -> None:
        if self._bundle is not None:
            again = {each.key for each in asked}
            kept = tuple(
                u for u in self._bundle.unavailable if not (u.reason.startswith(PASSING) and key_of(u) in again)
            )
            self._bundle = msgspec.structs.replace(self._bundle, unavailable=kept)

    def _run_child(self, missing: list[Wanted]) -> Wanted | None:
        """Make what is missing; None, or the variant that brought the child down and is now on record."""
        request = msg.Request(
            source=self._source,
            variants=missing,
            folder=str(self._folder),
            data=None if self._data is None else str(self._data.expanduser().resolve()),
            seed=self._seed,
            describe=self._bundle is None,
            inputs=self._inputs,
            trained=None if self._log.folder is None else str(self._log.folder),
            ingredients=self._ingredients,
            confinement=Confinement(network=self._network),
        )
        logs = self._folder.parent.parent / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{self._folder.name}.log"
        at_work: Wanted | None = None
        with (
            tempfile.TemporaryDirectory(prefix="bench-export-", ignore_cleanup_errors=True) as scratch,
            ChildProcess(
                "bench.export.child",
                environment=_environment(scratch),
                errors=log.open("w+b"),
                # The code of a zoo model is its owner's, who may read files from where the command was given.
                folder=None if self._source.kind == "zoo" else scratch,
            ) as child,
        ):
            try:
                child.send(codec.pack(request))
                while True:
                    message = _next(child, self._timeout_s)
                    if isinstance(message, msg.Started):
                        at_work = message.wanted
                    elif isinstance(message, msg.Finished):
                        # It ends by itself, with all that it holds written.
                        child.end()
                        return None
                    else:
                        self._take(message, child)
            except TimeoutError as error:
                during = f" while making {at_work.format} {at_work.variant}" if at_work else ""
                raise ExportError(
                    f"the export of {self._source.name} said nothing for over {self._timeout_s:g} s{during} "
                    "and was stopped",
                    tail=child.tail(),
                ) from error
            except WireError as error:
                ended = _how_it_ended(child)
                if at_work is None or self._covers(at_work):
                    raise ExportError(f"the export process {ended}", tail=child.tail()) from error
                # One variant's crash must not lose the others.
                self._add_missing(
                    Unavailable(
                        variant=at_work.variant,
                        format=at_work.format,
                        reason=f"{PASSING}its converter {ended}",
                        recipe=at_work.recipe,
                    )
                )
                self._progress(
                    f"{at_work.format} {at_work.variant}: the export process {ended}; going on with the others"
                )
                return at_work

    def _take(self, message: msg.Message, child: ChildProcess) -> None:
        match message:
            case msg.Progress(text, share, passing):
                self._progress(text, share, passing=passing)
            case msg.TrainingBegan():
                self._log.began(child.pid)
            case msg.EpochEnded():
                self._log.epoch(message)
            case msg.TrainingEnded():
                self._log.ended(message)
            case msg.Described(model, data, files):
                self._begin(msgspec.structs.replace(model, training=self._log.kept), data, files)
            case msg.Made(artifact):
                bundle = self._known()
                others = tuple(a for a in bundle.artifacts if key_of(a) != key_of(artifact))
                files = {**bundle.files, artifact.path: artifact.sha256}
                self._save(msgspec.structs.replace(bundle, artifacts=(*others, artifact), files=files))
            case msg.Missing(unavailable):
                self._add_missing(unavailable)
            case msg.Refused(what, where, remedy):
                child.end()  # by itself, as where it finished
                raise UserError(what, where=where, remedy=remedy)
            case msg.Broken(reason):
                child.end()
                raise ExportError(f"the export of {self._source.name} failed: {reason}", tail=child.tail())

    def _add_missing(self, unavailable: Unavailable) -> None:
        bundle = self._known()
        self._save(msgspec.structs.replace(bundle, unavailable=(*bundle.unavailable, unavailable)))

    def _known(self) -> Bundle:
        if self._bundle is None:
            raise ExportError("the export process spoke of a variant before it described the model")
        return self._bundle

    def _begin(self, model: ModelInfo, data: DataInfo, files: dict[str, str]) -> None:
        tools = tool_versions(self._source.kind)
        self._save(Bundle(model=model, data=data, artifacts=(), files=files, tools=tools, seed=self._seed))

    def _save(self, bundle: Bundle) -> None:
        self._bundle = bundle
        write_whole(self._folder / BUNDLE_FILE, codec.json_bytes(bundle))


def _environment(scratch: str) -> dict[str, str]:
    return {
        "TMPDIR": scratch,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # A PyTorch program never has objects of its own unpickled: PyTorch then loads weights only.
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        "KERAS_BACKEND": "tensorflow",
        # Exports come out the same with and without a GPU.
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def _next(child: ChildProcess, timeout_s: float) -> msg.Message:
    """The next message. Raises TimeoutError after `timeout_s`, `WireError` where the child is gone or unreadable."""
    frame = child.receive(timeout_s)
    if frame is None:
        raise WireError("the export process closed its output")
    try:
        # msgspec reads unions of tagged records; the cast is for the type checker.
        return cast(msg.Message, codec.unpack(frame, cast(type, msg.Message)))
    except msgspec.MsgspecError as error:
        raise WireError(f"not a message: {error}") from error


def _how_it_ended(child: ChildProcess) -> str:
    ending = child.end(grace_s=5)
    return f"died of {ending.signal}" if ending.signal else f"ended with exit code {ending.code}"


def _whole_bundle(folder: Path) -> Bundle | None:
    """What `folder` holds undamaged. None where it has to be made from the start: then it is empty."""
    for stale in folder.rglob(".*"):
        stale.unlink()  # what a killed export had not finished; the lock says that nobody writes now
    kept = _undamaged(folder)
    if kept is None:
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return kept


def _undamaged(folder: Path) -> Bundle | None:
    try:
        bundle = codec.from_json((folder / BUNDLE_FILE).read_bytes(), Bundle)
    except (OSError, msgspec.MsgspecError):
        return None
    damaged = {name for name, digest in bundle.files.items() if not _is_whole(folder / name, digest)}
    if bundle.schema != BUNDLE_SCHEMA or damaged - {artifact.path for artifact in bundle.artifacts}:
        # Of evaluation data everything else was made.
        return None
    kept = tuple(artifact for artifact in bundle.artifacts if artifact.path not in damaged)
    files = {name: digest for name, digest in bundle.files.items() if name not in damaged}
    return msgspec.structs.replace(bundle, artifacts=kept, files=files)


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest
