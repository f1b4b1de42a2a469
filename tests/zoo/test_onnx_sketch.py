"""What the walk over an ONNX file sees is what the library sees, and no file brings the walk down."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.zoo import onnx_sketch
from bench.zoo.onnx_sketch import Malformed, sketch
from bench.zoo.sniff import external_files


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])


def _external(location: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def _graph(*nodes: onnx.NodeProto, initializer: tuple[onnx.TensorProto, ...] = ()) -> onnx.GraphProto:
    nodes = nodes or (helper.make_node("Relu", ["x"], ["y"]),)
    return helper.make_graph(nodes, "g", [_value("x")], [_value("y")], list(initializer))


def _constant(location: str) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["y"], value=_external(location))


def _sparse(location: str) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=_external(location), dims=[1])


def _with_function(location: str) -> onnx.ModelProto:
    model = helper.make_model(_graph())
    model.functions.append(helper.make_function("own", "f", [], ["y"], [_constant(location)], []))
    return model


def _with_training(location: str) -> onnx.ModelProto:
    model = helper.make_model(_graph())
    model.training_info.add().algorithm.CopyFrom(_graph(_constant(location)))
    return model


def _with_sparse_initializer(location: str) -> onnx.ModelProto:
    model = helper.make_model(_graph())
    model.graph.sparse_initializer.append(_sparse(location))
    return model


def _nested(depth: int, innermost: onnx.GraphProto) -> onnx.GraphProto:
    graph = innermost
    for _ in range(depth):
        graph = _graph(helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=_graph()))
    return graph


WHERE = {
    "initializer": lambda at: helper.make_model(_graph(initializer=(_external(at),))),
    "constant": lambda at: helper.make_model(_graph(_constant(at))),
    "list of tensors": lambda at: helper.make_model(_graph(helper.make_node("Own", [], ["y"], many=[_external(at)]))),
    "sparse constant": lambda at: helper.make_model(
        _graph(helper.make_node("Constant", [], ["y"], sparse_value=_sparse(at)))
    ),
    "sparse initializer": _with_sparse_initializer,
    "subgraph": lambda at: helper.make_model(_nested(3, _graph(_constant(at)))),
    "list of graphs": lambda at: helper.make_model(
        _graph(helper.make_node("Own", ["x"], ["y"], many=[_graph(), _graph(initializer=(_external(at),))]))
    ),
    "function": _with_function,
    "training": _with_training,
}
LEAVING = [
    "../w.bin",
    "/etc/hostname",
    "a/../../w.bin",
    "..\\w.bin",
    "C:\\w.bin",
    "C:w.bin",
    "\\\\host\\w.bin",
    "w\0.bin",
]


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / "deep"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"secret")
    return folder / "m.onnx"


@pytest.mark.parametrize("place", WHERE)
def test_external_data_are_found_wherever_they_hide(place, deep):
    deep.write_bytes(WHERE[place]("w.bin").SerializeToString())
    (deep.parent / "w.bin").write_bytes(b"\0\0\0\0")
    assert external_files(deep) == [deep.parent / "w.bin"]
    deep.write_bytes(WHERE[place]("../w.bin").SerializeToString())
    with pytest.raises(UserError, match="outside its own folder"):
        external_files(deep)


@pytest.mark.parametrize("location", LEAVING)
def test_external_data_elsewhere_are_refused(location, deep):
    deep.write_bytes(WHERE["initializer"](location).SerializeToString())
    with pytest.raises(UserError, match="outside its own folder"):
        external_files(deep)


def test_a_link_that_leaves_the_folder_is_refused(deep):
    deep.write_bytes(WHERE["initializer"]("w.bin").SerializeToString())
    (deep.parent / "w.bin").symlink_to("../w.bin")
    with pytest.raises(UserError, match="outside its own folder"):
        external_files(deep)


def test_an_address_in_memory_is_no_file(deep):
    deep.write_bytes(WHERE["initializer"]("*/_ORT_MEM_ADDR_/*").SerializeToString())
    with pytest.raises(UserError, match="missing"):
        external_files(deep)


def test_a_tensor_that_is_given_in_two_parts_hides_no_file(deep):
    """Other readers merge the parts: one names the file, the other says that the values lie in it."""
    first, second = _external("../w.bin"), onnx.TensorProto(data_location=TensorProto.EXTERNAL)
    first.ClearField("data_location")
    attribute = _wrapped(5, first.SerializeToString()) + _wrapped(5, second.SerializeToString())
    assert onnx.AttributeProto.FromString(attribute).t.data_location == TensorProto.EXTERNAL
    deep.write_bytes(_wrapped(7, _wrapped(1, _wrapped(5, attribute))))
    with pytest.raises(UserError, match="outside its own folder"):
        external_files(deep)


def _wrapped(number: int, content: bytes) -> bytes:
    """A field of bytes as Protocol Buffers write it."""
    length, head = len(content), bytearray()
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *head, length]) + content


def test_what_nests_without_end_is_malformed_and_no_recursion(tmp_path):
    content = b""
    for _ in range(3000):
        content = _wrapped(1, _wrapped(5, _wrapped(6, content)))
    path = tmp_path / "m.onnx"
    path.write_bytes(_wrapped(7, content))
    with pytest.raises(Malformed, match="deep"):
        sketch(path)


def _entry(content: bytes) -> bytes:
    """A model with a tensor whose external data have one entry of these bytes."""
    return _wrapped(7, _wrapped(5, _wrapped(13, content)))


LOCATION = _wrapped(1, b"location")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_entry(LOCATION + _wrapped(2, b"w" * 5000)), "names a file in 5000 bytes"),
        (_entry(LOCATION + _wrapped(2, b"\xff\xfe")), "bytes that are no text"),
        (b"\x08" + b"\xff" * 11, "no Protocol Buffers message"),  # a number without an end
        (b"\x08" + b"\xff" * 3, "cut short"),
    ],
)
def test_bytes_that_no_writer_makes_are_malformed(content, said, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(Malformed, match=said):
        sketch(tmp_path / "m.onnx")


def test_what_else_an_entry_holds_is_stepped_over(tmp_path):
    (tmp_path / "m.onnx").write_bytes(_entry(b"\x18\x07" + LOCATION + _wrapped(2, b"w.bin") + _wrapped(9, b"x")))
    assert sketch(tmp_path / "m.onnx").locations == {"w.bin"}


def test_a_file_that_shrinks_while_it_is_read_is_cut_short():
    source = onnx_sketch._Source(io.BytesIO(bytes(10)), 100)
    assert source.byte(9) == 0
    with pytest.raises(Malformed, match="cut short"):
        source.byte(10)


def test_a_file_of_nothing_but_fields_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_sketch, "MOST_FIELDS", 1000)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x01" * 2000)
    with pytest.raises(Malformed, match="more than 1,000 fields"):
        sketch(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the count of bytes read is Linux's")
def test_tensors_are_stepped_over_and_not_read(tmp_path):
    model = helper.make_model(_graph()).SerializeToString()
    path = tmp_path / "m.onnx"
    size = 1 << 30
    with path.open("wb") as file:
        file.write(b"\x6a" + bytes([0x80, 0x80, 0x80, 0x80, 0x04]))  # an unknown field: a gigabyte of bytes
        file.seek(size, 1)
        file.write(model)
    before = psutil.Process().io_counters().read_chars
    assert sketch(path).nodes == 1
    assert psutil.Process().io_counters().read_chars - before < size / 1000


@pytest.fixture(scope="module")
def some_model() -> bytes:
    """A model with a branch, constants and external data."""
    inner = _graph(helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.ones(5, np.float32))))
    outer = _graph(
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=_graph(_constant("a.bin"))),
        initializer=(_external("b.bin"), numpy_helper.from_array(np.arange(9, dtype=np.float32), "v")),
    )
    return helper.make_model(outer).SerializeToString()


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_model_is_seen_as_the_library_sees_it_or_is_malformed(some_model, data, tmp_path):
    content = bytearray(some_model)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes(content))
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(content))
    except Exception:
        model = None
    seen, fault = _sketched(path)
    if seen is None:
        # The library reads groups, which ONNX does not have, and takes names in bytes that are no text.
        assert model is None or _holds_more(model) or "no text" in fault
        return
    if model is not None:
        assert (seen.nodes, seen.outputs) == (len(model.graph.node), len(model.graph.output))
        assert seen.locations >= _locations(model.graph)


def _sketched(path: Path) -> tuple[onnx_sketch.Sketch | None, str]:
    try:
        return sketch(path), ""
    except Malformed as error:
        return None, str(error)


def _holds_more(model: onnx.ModelProto) -> bool:
    """Whether the model holds fields that ONNX does not know."""
    plain = onnx.ModelProto.FromString(model.SerializeToString())
    before = plain.ByteSize()
    plain.DiscardUnknownFields()
    return plain.ByteSize() < before


def _locations(graph: onnx.GraphProto) -> set[str]:
    tensors = list(graph.initializer)
    found: set[str] = set()
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            for inner in (attribute.g, *attribute.graphs):
                found |= _locations(inner) if inner.ByteSize() else set()
    external = (tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL)
    named = (entry for tensor in external for entry in tensor.external_data)
    return found | {_text(entry, "value") for entry in named if _text(entry, "key") == "location"}


def _text(entry: onnx.StringStringEntryProto, name: str) -> str:
    try:
        return str(getattr(entry, name))
    except UnicodeDecodeError:
        return ""


def test_looking_at_an_onnx_file_imports_neither_onnx_nor_a_framework(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(_graph()).SerializeToString())
    code = (
        f"import sys; from bench.zoo.find import find; find({str(path)!r}); "
        "print({'onnx', 'google.protobuf', 'onnxruntime', 'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
