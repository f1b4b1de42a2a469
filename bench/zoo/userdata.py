"""Calibration and evaluation data that a user gives with `--data`, checked against the model's inputs.

An `.npz` file, or a folder of `.npy` files, with these keys:

`x`: evaluation inputs, axis 0 the examples. `y`: their labels, optional. `calibration`: inputs that int8
is calibrated on, optional. `train_x` and `train_y`: for fine-tuning pruned variants, optional. A model
with more than one input has `x:<input name>`, `calibration:<input name>`, `train_x:<input name>`; inputs that
are described elsewhere may be left out. `reset`, for a model with state: whether an example begins a sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.errors import UserError, unknown
from bench.record.artifact import TensorSpec, one_row_an_example
from bench.zoo.arrays import UNREADABLE
from bench.zoo.datasets.base import Array, Split, calibration_from
from bench.zoo.hashing import file_sha256

_KEYS = ("x", "y", "calibration", "train_x", "train_y")
_RESET = "reset"
Fill = Callable[[int], Array]
"""The array of an input that the data leave out, for that many examples: axis 0 the examples."""


@dataclass(frozen=True)
class UserData:
    """What was given. Arrays stand in the order of the model's inputs; None where there was nothing.

    `starts` are the examples that begin a sequence. `filled` names the inputs that the data left out.
    """

    name: str
    inputs: tuple[Array, ...]
    labels: Array | None
    calibration: tuple[Array, ...] | None
    train: Split | None
    starts: tuple[int, ...] = (0,)
    filled: tuple[str, ...] = ()


def data_sha256(path: Path) -> str:
    """A hash of all that `read` would read. Raises `UserError` where there is nothing."""
    files = _files(path)
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def read(
    path: Path,
    inputs: Sequence[TensorSpec],
    seed: int = 0,
    *,
    left_out: Mapping[str, Fill] | None = None,
    stateful: bool = False,
) -> UserData:
    """The data in `path` for a model with these `inputs`; those in `left_out` may be missing and are made.

    Raises:
        UserError: a key is missing or unknown, or an array has the wrong shape, type or length.
    """
    arrays = _arrays(path)
    reader = _Reader(path, arrays, inputs, left_out or {}, stateful=stateful)
    reader.check_keys()
    x = reader.inputs("x")
    if x is None:
        wanted = ", ".join(reader.wanted("x"))
        raise UserError(
            "the data has no evaluation inputs", where=str(path), remedy=f"add {wanted}; found {_listed(arrays)}"
        )
    labels = reader.labels("y", len(x[0]))
    train_x = reader.inputs("train_x")
    train_y = reader.labels("train_y", len(train_x[0])) if train_x is not None else None
    train = Split(train_x, train_y) if train_x is not None and train_y is not None else None
    calibration = reader.inputs("calibration")
    if calibration is None and train_x is not None:
        calibration = calibration_from(train_x, seed)
    return UserData(path.name, x, labels, calibration, train, reader.starts(len(x[0])), reader.filled("x"))


class _Reader:
    def __init__(
        self,
        path: Path,
        arrays: Mapping[str, Array],
        specs: Sequence[TensorSpec],
        left_out: Mapping[str, Fill],
        *,
        stateful: bool,
    ) -> None:
        self._path = path
        self._left_out = left_out
        self._stateful = stateful
        self._needed = [spec for spec in specs if spec.name not in left_out]
        self._arrays = arrays
        self._specs = specs
        self._rows = one_row_an_example(specs)

    def check_keys(self) -> None:
        names = [spec.name for spec in self._specs]
        valid = {*_KEYS, *(f"{key}:{name}" for key in ("x", "calibration", "train_x") for name in names)}
        if self._stateful:
            valid.add(_RESET)
        for key in self._arrays:
            if key not in valid:
                raise unknown("array", key, valid, where=str(self._path))

    def inputs(self, key: str) -> tuple[Array, ...] | None:
        found = [self._one(key, spec) for spec in self._specs]
        if all(array is None for array in found):
            return None
        examples = next((len(array) for array in found if array is not None and array.ndim), 0)
        arrays: list[Array] = []
        for spec, array in zip(self._specs, found, strict=True):
            if array is None and spec.name in self._left_out:
                arrays.append(self._left_out[spec.name](examples))
                continue
            if array is None:
                raise UserError(
                    f"the array {key}:{spec.name} is missing",
                    where=str(self._path),
                    remedy=f"inputs: {', '.join(s.name for s in self._specs)}; found {_listed(self._arrays)}",
                )
            arrays.append(self._checked(key, spec, array))
        counts = {len(array) for array in arrays}
        if len(counts) > 1:
            lengths = ", ".join(f"{s.name}: {len(a)}" for s, a in zip(self._specs, arrays, strict=True))
            raise UserError(
                f"the inputs of {key} differ in their number of examples ({lengths})", where=str(self._path)
            )
        return tuple(arrays)

    def labels(self, key: str, examples: int) -> Array | None:
        labels = self._arrays.get(key)
        if labels is None:
            return None
        where = f"{self._path}: {key}"
        if labels.ndim == 0 or len(labels) != examples:
            found = f"{len(labels)} labels" if labels.ndim else "a single number as label"
            raise UserError(
                f"there are {examples} examples and {found}", where=where, remedy="give one label an example"
            )
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise UserError("the labels are not all finite", where=where, remedy="remove NaN and infinity")
        return labels

    def wanted(self, key: str) -> list[str]:
        """The arrays that are needed for `key`."""
        return [key] if len(self._specs) == 1 else [f"{key}:{spec.name}" for spec in self._needed or self._specs]

    def filled(self, key: str) -> tuple[str, ...]:
        """The inputs that had no array of their own."""
        return tuple(spec.name for spec in self._specs if self._one(key, spec) is None)

    def starts(self, examples: int) -> tuple[int, ...]:
        """The examples that begin a sequence: the first, and those of the array `reset`."""
        reset = self._arrays.get(_RESET)
        if reset is None:
            return (0,)
        if reset.shape != (examples,) or reset.dtype.kind != "b":
            raise UserError(
                f"the array has type {reset.dtype} and shape {list(reset.shape)}, it takes bool [{examples}]",
                where=f"{self._path}: {_RESET}",
                remedy="say for each example whether it begins a sequence",
            )
        return tuple(sorted({0, *(int(at) for at in np.flatnonzero(reset))}))

    def _one(self, key: str, spec: TensorSpec) -> Array | None:
        named = self._arrays.get(f"{key}:{spec.name}")
        alone = len(self._specs) == 1 or [spec] == self._needed
        return self._arrays.get(key) if named is None and alone else named

    def _checked(self, key: str, spec: TensorSpec, array: Array) -> Array:
        where = f"{self._path}: {key if len(self._specs) == 1 else f'{key}:{spec.name}'}"
        axes = spec.shape[1:] if self._rows else spec.shape
        expected = f"[examples, {', '.join('any' if a is None else str(a) for a in axes)}]" if axes else "[examples]"
        shape_fits = array.ndim == len(axes) + 1 and all(
            want is None or want == have for want, have in zip(axes, array.shape[1:], strict=True)
        )
        if not shape_fits:
            raise UserError(
                f"the array has shape {list(array.shape)}, the model's input {spec.name!r} takes {expected}",
                where=where,
                remedy="reshape the array; axis 0 counts the examples",
            )
        if not len(array):
            raise UserError("the array holds no examples", where=where, remedy="give at least one")
        return _typed(array, spec, where)


def _typed(array: Array, spec: TensorSpec, where: str) -> Array:
    want = np.dtype(spec.dtype)
    real = np.dtype(np.float32) if spec.scale is not None and array.dtype.kind == "f" else want
    same_kind = array.dtype.kind == real.kind or (array.dtype.kind in "iu" and real.kind in "iu")
    if not same_kind:
        kind = f"{want} (or real numbers, float32)" if spec.scale is not None else str(want)
        raise UserError(
            f"the array has type {array.dtype}, the model's input {spec.name!r} takes {kind}",
            where=where,
            remedy=f"convert it, for example array.astype({real.name!r}), with the scaling the model expects",
        )
    with np.errstate(over="ignore"):  # what does not fit is refused below
        cast = array.astype(real)
    if array.dtype.kind == "f" and not np.isfinite(cast).all():
        raise UserError("the array holds values that are not finite", where=where, remedy="remove NaN and infinity")
    if array.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise UserError(
            f"the array holds values that do not fit {real}", where=where, remedy=f"use values within {real}"
        )
    return cast


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        if not files:
            raise UserError("the data folder holds no .npy file", where=str(path), remedy="put x.npy (and y.npy) there")
        return files
    if not path.exists():
        raise UserError("there is no such data", where=str(path), remedy="check the path given with --data")
    if path.suffix.lower() != ".npz":
        raise UserError(
            "the data is neither an .npz file nor a folder of .npy files",
            where=str(path),
            remedy="save it with numpy.savez(path, x=…, y=…)",
        )
    return [path]


def _arrays(path: Path) -> dict[str, Array]:
    files = _files(path)
    try:
        if path.is_dir():
            return {file.stem: _plain(np.load(file, allow_pickle=False), file) for file in files}
        with np.load(path, allow_pickle=False) as archive:
            return {key: _plain(archive[key], path) for key in archive.files}
    except UNREADABLE as error:
        if "Object arrays" in str(error):
            raise UserError(
                "the data holds Python objects (dtype object)", where=str(path), remedy="store plain numeric arrays"
            ) from error
        # What is no file of NumPy's own, it takes for a pickle.
        reason = "it is not a file of NumPy" if "pickled" in str(error) else error or type(error).__name__
        raise UserError(
            f"the data cannot be read: {reason}",
            where=str(path),
            remedy="save it again with NumPy",
        ) from error


def _plain(array: Array, path: Path) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        raise UserError(
            f"the data holds an array of type {getattr(array, 'dtype', type(array).__name__)}",
            where=str(path),
            remedy="store plain numeric arrays",
        )
    return array


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"
