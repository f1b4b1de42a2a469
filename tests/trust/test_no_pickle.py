"""Nothing that is read on the road can run code: no pickle, no eval, no YAML of objects, and no way to them by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench

PACKAGE = Path(bench.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "jsonpickle"}
"""Whose import is enough: what they read may run code."""
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
ATTRIBUTES = {
    "torch.load", "torch.jit.load", "pandas.read_pickle", "pd.read_pickle", "tf.keras.models.load_model",
    "keras.config.enable_unsafe_deserialization", "np.lib.format.read_array",
}  # fmt: skip
LOADS = {"load", "savez", "savez_compressed", "save"}
"""Of NumPy: they have to say `allow_pickle=False`."""
ALLOWED: dict[tuple[str, str], str] = {
    ("zoo/ingredients.py", "exec_module"): "the data.py of a model folder is code, and trusted as such",
    ("training/code.py", "exec_module"): "the model.py of a model folder is code, and trusted as such",
}


def faults(tree: ast.AST, place: str) -> Iterator[str]:
    """What in a module could run code from what it reads, each as `PLACE:LINE WHAT`."""
    for node in ast.walk(tree):
        for what in _of(node):
            if (place, what) not in ALLOWED:
                yield f"{place}:{getattr(node, 'lineno', 0)} {what}"


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names if name.name.partition(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
        yield node.module or ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
        yield f"the name {node.value!r}"
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[str]:
    name = _dotted(node.func)
    if name.partition(".")[0] in MODULES:
        yield name
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    last = name.rpartition(".")[2]
    if name in CALLS or name in ATTRIBUTES or last in ("exec_module", "unsafe_load"):
        yield last
    if name in {f"{module}.{load}" for module in ("np", "numpy") for load in LOADS} and not _is(
        given.get("allow_pickle"), False
    ):
        yield f"{name} without allow_pickle=False"
    if _is(given.get("allow_pickle"), True) or _is(given.get("weights_only"), False):
        yield f"{name} of objects"
    if last == "load_model" and not _is(given.get("safe_mode"), True):
        yield f"{name} without safe_mode=True"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is(value: ast.expr | None, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def test_nothing_in_the_package_unpickles_or_evaluates() -> None:
    found = [
        fault
        for path in sorted(PACKAGE.rglob("*.py"))
        for fault in faults(ast.parse(path.read_bytes()), path.relative_to(PACKAGE).as_posix())
    ]
    assert not found


def test_every_exception_is_still_needed() -> None:
    used = {
        (path, what)
        for path, _ in ALLOWED
        if (PACKAGE / path).is_file()
        for node in ast.walk(ast.parse((PACKAGE / path).read_bytes()))
        for what in _of(node)
    }
    assert set(ALLOWED) <= used


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from joblib import load", "import cloudpickle.compat", "importlib.import_module('dill')",
        "torch.load(p)", "np.load(p)", "np.load(p, allow_pickle=True)", "numpy.load(p, allow_pickle=flag)",
        "yaml.load(t)", "import yaml", "eval(t)", "exec(t)", "__import__(n)", "keras.models.load_model(p)",
        "load_model(p, safe_mode=False)", "torch.load(p, weights_only=False)", "spec.loader.exec_module(m)",
    ],
)  # fmt: skip
def test_the_search_finds(code: str) -> None:
    assert list(faults(ast.parse(code), "x.py"))


@pytest.mark.parametrize("code", ["np.load(p, allow_pickle=False)", "json.loads(t)", "f(safe_mode=True).load()"])
def test_and_leaves_alone(code: str) -> None:
    assert not list(faults(ast.parse(code), "x.py"))
