"""Channels removed from ONNX graphs: where those removed are all zero, the smaller graph says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.export.errors import CannotMake
from bench.export.onnx_channels import without_channels

RNG = np.random.default_rng(0)


class Graph:
    """Builds a graph node by node; `dead` output channels of a weight are zero."""

    def __init__(self, shape, opset=17):
        self.nodes, self.weights, self.shape, self.opset = [], [], shape, opset

    def weight(self, shape, axis=None, dead=(), low=None):
        values = RNG.standard_normal(shape) if low is None else RNG.uniform(low, 2, shape)
        if axis is not None:
            np.moveaxis(values, axis, 0)[list(dead)] = 0
        return self.constant(values.astype(np.float32))

    def constant(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, op, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def conv(self, x, into, out, size=3, dead=(), **attributes):
        w = self.weight((out, into, size, size), 0, dead)
        return self.add("Conv", x, w, self.weight((out,), 0, dead), pads=[size // 2] * 4, **attributes)

    def model(self, output, shape):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def run(model, *shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def weights_of(model):
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT)


def _residual():
    dead = [0, 2, 3, 7]
    g = Graph(["n", 3, 8, 8])
    x = g.conv("x", 3, 8, dead=dead)
    gamma, beta = g.weight((8,), 0, dead), g.weight((8,), 0, dead)
    x = g.add("BatchNormalization", x, gamma, beta, g.constant(np.zeros(8, np.float32)), g.weight((8,), low=0.5))
    x = g.add("Relu", x)
    y = g.conv(x, 1, 16, dead=[d * 2 + i for d in dead for i in (0, 1)], group=8)
    y = g.conv(g.add("HardSwish", y), 16, 8, size=1, dead=dead)
    x = g.add("Add", x, y)
    x = g.add("Mul", x, g.weight((1, 8, 1, 1)))
    x = g.add("Concat", x, "x", axis=1)
    x = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    up = g.weight((11, 6, 2, 2), 1, [1, 2, 4])
    x = g.add("Relu", g.add("ConvTranspose", x, up, strides=[2, 2]))
    x = g.add("Transpose", x, perm=[0, 2, 3, 1])
    x = g.add("Reshape", x, g.constant(np.array([-1, 384], np.int64)))
    x = g.add("MatMul", x, g.weight((384, 10), 1, range(5)))
    x = g.add("Sigmoid", g.add("Add", x, g.constant(np.zeros(10, np.float32))))
    # A dead unit is one half behind a sigmoid: what reads it does not mind.
    last = np.where(np.arange(10)[:, None] < 5, 0, RNG.standard_normal((10, 3))).astype(np.float32)
    return g.model(g.add("Softmax", g.add("Gemm", x, g.constant(last), g.weight((3,)))), ["n", 3])


def _flattened():
    g = Graph([1, 2, 6, 6])
    x = g.add("Relu", g.conv("x", 2, 8, dead=[0, 1, 2, 3]))
    x = g.add("Pad", x, g.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)))
    x = g.add("Resize", x, "", g.constant(np.array([1, 1, 2, 2], np.float32)))
    x = g.add("ReduceMean", x, axes=[3], keepdims=0)
    x = g.add("Flatten", x, axis=1)
    x = g.add("Clip", g.add("Gemm", x, g.weight((6, 128), 0, [1, 3, 5]), transB=1), "", g.constant(np.float32(3)))
    x = g.add("Unsqueeze", x, g.constant(np.array([2], np.int64)))
    x = g.add("Squeeze", x, g.constant(np.array([2], np.int64)))
    return g.model(g.add("MatMul", x, g.weight((6, 2))), [1, 2])


@pytest.mark.parametrize(("build", "shape"), [(_residual, (4, 3, 8, 8)), (_flattened, (1, 2, 6, 6))])
def test_dead_channels_go_and_nothing_changes(build, shape):
    model = build()
    smaller, notes = without_channels(model, 0.5)
    assert weights_of(smaller) < 0.7 * weights_of(model)
    assert np.allclose(run(smaller, *shape), run(model, *shape), atol=1e-4)
    assert len(notes) == 1


def test_the_given_graph_is_left_as_it_was():
    model = _residual()
    before = model.SerializeToString()
    without_channels(model, 0.5)
    assert model.SerializeToString() == before


def test_what_is_not_understood_keeps_its_channels_and_is_named():
    g = Graph([1, 4, 8, 8])
    x = g.conv(g.conv("x", 4, 8), 8, 8)
    x = g.conv(g.add("LRN", x, size=3), 8, 2)
    smaller, notes = without_channels(g.model(x, [1, 2, 8, 8]), 0.5)
    assert sorted(t.dims[0] for t in smaller.graph.initializer if len(t.dims) == 4) == [2, 4, 8]
    assert notes[-1] == "all channels stay around LRN"


def _of_constants(g, *shape):
    """A weight that the graph works out while it runs."""
    return g.add("Neg", g.weight(shape))


def _by_the_shape_of_another(g, x):
    other = g.add("Transpose", g.constant(np.zeros((4, 8, 1), np.float32)), perm=[2, 1, 0])
    return g.add("Reshape", g.add("ReduceMean", x, axes=[3], keepdims=0), g.add("Shape", other))


KEEPING = {
    "a kernel that is worked out": ("Conv", lambda g, x: g.add("Conv", x, _of_constants(g, 8, 8, 1, 1))),
    "groups of channels": ("Conv", lambda g, x: g.conv(x, 4, 8, group=2)),
    "a normalisation that is worked out": (
        "InstanceNormalization",
        lambda g, x: g.add("InstanceNormalization", x, _of_constants(g, 8), g.weight((8,))),
    ),
    "a mean of the channels": ("ReduceMean", lambda g, x: g.add("ReduceMean", x, axes=[1])),
    "a reduction of all there is": ("ReduceMax", lambda g, x: g.add("ReduceMax", x)),
    "a part of the channels": (
        "Slice",
        lambda g, x: g.add("Slice", x, *(g.constant(np.array([at], np.int64)) for at in (0, 4, 1))),
    ),
    "a slice without axes": (
        "Slice",
        lambda g, x: g.add("Slice", x, *(g.constant(np.array(at, np.int64)) for at in ([0] * 4, [9, 9, 2, 2]))),
    ),
    "a size and no factors": (
        "Resize",
        lambda g, x: g.add("Resize", x, "", "", g.constant(np.array([1, 8, 8, 8], np.int64))),
    ),
    "channels that are stretched": (
        "Resize",
        lambda g, x: g.add("Resize", x, "", g.constant(np.array([1, 2, 1, 1], np.float32))),
    ),
    "channels that are padded": (
        "Pad",
        lambda g, x: g.add("Pad", x, g.constant(np.array([0, 1, 0, 0, 0, 0, 0, 0], np.int64))),
    ),
    "channels elsewhere than the operator means": (
        "MaxPool",
        lambda g, x: g.add("MaxPool", g.add("Transpose", x, perm=[0, 2, 3, 1]), kernel_shape=[2, 2]),
    ),
    "channels that are scattered": (
        "Reshape",
        lambda g, x: g.add("Reshape", x, g.constant(np.array([1, 4, 8, 4], np.int64))),
    ),
    "the shape of another tensor": ("Reshape", _by_the_shape_of_another),
}


@pytest.mark.parametrize("what", KEEPING)
def test_an_operator_that_would_mean_something_else_keeps_its_channels(what):
    g = Graph([1, 3, 4, 4])
    operator, build = KEEPING[what]
    x = build(g, g.conv(g.conv("x", 3, 6), 6, 8))
    x = g.add("ReduceSum", g.add("Relu", x), keepdims=0)
    model = g.model(g.add("Relu", x), [])
    smaller, notes = without_channels(model, 0.5)
    assert notes[-1] == f"all channels stay around {operator}"
    assert {(3, 3, 3, 3), (8, 3, 3, 3)} <= {tuple(tensor.dims) for tensor in smaller.graph.initializer}
    assert run(smaller, 1, 3, 4, 4).shape == run(model, 1, 3, 4, 4).shape


FOLLOWED = {
    "a shape that is worked out from the rest": (
        128,
        lambda g, x: g.add("Reshape", x, g.constant(np.array([0, -1], np.int64))),
    ),
    "one number for all": (128, lambda g, x: g.add("Mul", x, g.constant(np.float32(2)))),
    "numbers of which some are zero": (128, lambda g, x: g.add("Mul", x, g.weight((8, 1, 1), 0, [0, 1, 2, 3]))),
    "a normalisation of each picture": (
        128,
        lambda g, x: g.add("InstanceNormalization", x, g.weight((8,), low=0.5), g.weight((8,), 0, [0, 1, 2, 3])),
    ),
    "a slice in space": (
        64,
        lambda g, x: g.add("Slice", x, *(g.constant(np.array([at], np.int64)) for at in (0, 2, -1))),
    ),
}


@pytest.mark.parametrize("what", FOLLOWED)
def test_channels_are_followed_through_what_works_on_each_of_them(what):
    g = Graph([1, 3, 4, 4])
    rows, follow = FOLLOWED[what]
    x = follow(g, g.conv("x", 3, 8, dead=[0, 1, 2, 3]))
    x = g.add("Gemm", g.add("Flatten", x), g.weight((rows, 2)), g.constant(np.float32(0.5)))
    model = g.model(x, [1, 2])
    smaller, notes = without_channels(model, 0.5)
    assert len(notes) == 1
    assert (4, 3, 3, 3) in {tuple(tensor.dims) for tensor in smaller.graph.initializer}
    assert np.allclose(run(smaller, 1, 3, 4, 4), run(model, 1, 3, 4, 4), atol=1e-4)


def test_one_channel_that_a_constant_spreads_over_many_stays_one():
    g = Graph([1, 3, 4, 4])
    x = g.add("Mul", g.conv(g.conv("x", 3, 8), 8, 1), g.weight((1, 6, 1, 1)))
    model = g.model(g.conv(x, 6, 2), [1, 2, 4, 4])
    smaller, notes = without_channels(model, 0.5)
    assert sorted(tensor.dims[0] for tensor in smaller.graph.initializer if len(tensor.dims) == 4) == [1, 1, 2, 4]
    assert notes[-1] == "all channels stay around Mul"
    assert run(smaller, 1, 3, 4, 4).shape == (1, 2, 4, 4)


@pytest.mark.parametrize("settings", [{"value_floats": [1.0, 2.0]}, {"value_string": b"word"}])
def test_a_constant_of_another_kind_stays_a_node(settings):
    g = Graph([1, 4])
    g.nodes.append(helper.make_node("Constant", [], ["kind"], **settings))
    x = g.add("MatMul", g.add("Relu", g.add("MatMul", "x", g.weight((4, 8)))), g.weight((8, 2)))
    smaller, _ = without_channels(g.model(x, [1, 2]), 0.5)
    assert [node.op_type for node in smaller.graph.node] == ["Constant", "MatMul", "Relu", "MatMul"]


def test_a_product_of_two_activations_keeps_both():
    g = Graph([1, 6])
    left = g.add("MatMul", "x", g.weight((6, 4)))
    right = g.add("MatMul", "x", g.weight((6, 4)))
    outer = g.add("MatMul", g.add("Transpose", left, perm=[1, 0]), right)
    with pytest.raises(CannotMake, match="MatMul"):
        without_channels(g.model(g.add("Relu", outer), [4, 4]), 0.5)


def test_weights_that_two_nodes_share_are_cut_alike_and_stay_shared():
    g = Graph([1, 8])
    w = g.weight((8, 8))
    x = g.add("Relu", g.add("MatMul", "x", g.weight((8, 8))))
    x = g.add("Relu", g.add("MatMul", x, w))
    x = g.add("Relu", g.add("MatMul", x, w))
    smaller, _ = without_channels(g.model(g.add("MatMul", x, g.weight((8, 2))), [1, 2]), 0.5)
    assert sorted(tuple(t.dims) for t in smaller.graph.initializer) == [(4, 2), (4, 4), (8, 4)]


def test_a_zero_bias_that_is_shared_by_chance_ties_nothing():
    g = Graph([1, 8])
    bias = g.constant(np.zeros(8, np.float32))
    kernels = [np.diag(np.array(d, np.float32)) for d in ([1, 1, 1, 1, 9, 9, 9, 9], [9, 9, 9, 9, 1, 1, 1, 1])]
    x = "x"
    for kernel in kernels:
        x = g.add("Relu", g.add("Gemm", x, g.constant(kernel), bias))
    smaller, _ = without_channels(g.model(g.add("MatMul", x, g.weight((8, 2))), [1, 2]), 0.5)
    cut = [numpy_helper.to_array(t) for t in smaller.graph.initializer if t.dims[0] in (4, 8) and t.dims[-1] == 4]
    first = next(a for a in cut if a.shape == (8, 4))
    assert first.sum() == 36


def test_a_channel_seen_from_inside_a_branch_stays():
    g = Graph([1, 4])
    x = g.add("Relu", g.add("MatMul", "x", g.weight((4, 8))))
    branches = {
        name: helper.make_graph(
            [helper.make_node("Identity", [x], [f"{name}_out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [1, 8])],
        )
        for name in ("then_branch", "else_branch")
    }
    y = g.add("If", g.constant(np.array(True)), **branches)
    y = g.add("MatMul", y, g.weight((8, 6)))
    smaller, notes = without_channels(g.model(g.add("MatMul", y, g.weight((6, 2))), [1, 2]), 0.5)
    assert sorted(tuple(t.dims) for t in smaller.graph.initializer if len(t.dims) == 2) == [(3, 2), (4, 8), (8, 3)]
    assert notes[-1] == "all channels stay around If"
    assert run(smaller, 1, 4).shape == (1, 2)


@pytest.mark.parametrize(
    "name", ["onnx-mnist/model.onnx", "silero-vad/silero_vad_16k_op15.onnx"], ids=["opset 8", "stateful"]
)
def test_models_of_users_become_smaller_and_still_run(user_models: Path, name):
    model = onnx.load(str(user_models / name))
    smaller, _ = without_channels(model, 0.5)
    assert weights_of(smaller) < weights_of(model)
    session = ort.InferenceSession(smaller.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"input": (1, 512), "state": (2, 1, 128)} if "silero" in name else {"Input3": (1, 1, 28, 28)}
    feed = {key: np.zeros(shape, np.float32) for key, shape in given.items()}
    if "silero" in name:
        feed["sr"] = np.array(16000, np.int64)
    assert all(np.isfinite(array).all() for array in session.run(None, feed))
