"""What an artifact says of its file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import zstandard
from onnx import TensorProto, helper, numpy_helper

from bench.export.onnx_facts import facts

BOTH = ("onnx", "tflite")


@pytest.mark.parametrize("fmt", BOTH)
def test_a_static_int8_file_works_on_integers_throughout_and_a_float_one_nowhere(mnist, fmt):
    assert mnist.artifact("int8", fmt).quantised_nodes == 1.0
    assert mnist.artifact("int8", fmt).quantised_macs == 1.0
    for variant in ("fp32", "fp16", "pruned"):
        assert mnist.artifact(variant, fmt).quantised_nodes == 0.0
        assert mnist.artifact(variant, fmt).quantised_macs == 0.0


def test_the_parts_of_a_model_that_stay_float_are_told_by_their_share_of_macs(tmp_path):
    """A convolution of 9 * 64 MACs in integers, and a product of 64 * 10 in float32."""
    path = tmp_path / "half.onnx"
    _half_quantised(path)
    known = facts(path)
    assert known.macs == 9 * 64 + 64 * 10
    assert known.quantised_nodes == 0.5
    assert known.quantised_macs == pytest.approx(9 * 64 / (9 * 64 + 64 * 10))


def test_four_bit_weights_count_as_integers_and_their_macs_are_known(tmp_path):
    path = tmp_path / "four.onnx"
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=32, N=8, bits=4, block_size=32
    )
    weights = numpy_helper.from_array(np.zeros((8, 1, 16), np.uint8), "w")
    scales = numpy_helper.from_array(np.ones(8, np.float32), "s")
    _save(path, [node], [1, 32], [1, 8], [weights, scales], domains=("", "com.microsoft"))
    known = facts(path)
    assert (known.macs, known.quantised_nodes, known.quantised_macs) == (32 * 8, 1.0, 1.0)


@pytest.fixture
def sparse(tmp_path):
    """A product of 80 * 16 weights, three quarters of them zero: 80 leaves the last block of 32 half full."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(80, 16)) * (rng.random((80, 16)) < 0.25)
    path = tmp_path / "sparse.onnx"
    constant = numpy_helper.from_array(weights.astype(np.float32), "w")
    _save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], [8, 80], [8, 16], [constant])
    return path


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_and_parameters_are_told_of_weights_in_four_bits(sparse, tmp_path, symmetric):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantiser = MatMulNBitsQuantizer(onnx.load(sparse), bits=4, block_size=32, is_symmetric=symmetric)
    quantiser.process()
    onnx.save(quantiser.model.model, tmp_path / "four.onnx")
    whole, known = facts(sparse), facts(tmp_path / "four.onnx")
    assert whole.sparsity <= known.sparsity < whole.sparsity + 0.1  # the smallest weights are rounded to zero
    assert (known.parameters, known.macs) == (whole.parameters, whole.macs)


def test_parameters_are_told_of_weights_in_eight_bits(sparse, tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(sparse, tmp_path / "eight.onnx", per_channel=True)
    assert facts(tmp_path / "eight.onnx").parameters == facts(sparse).parameters == 80 * 16


def test_zero_points_of_blocks_are_those_of_their_blocks(tmp_path):
    rng = np.random.default_rng(0)
    stored = rng.integers(-4, 4, (40, 8)).astype(np.int8)
    points = rng.integers(-4, 4, (3, 8)).astype(np.int8)
    constants = [("q", stored), ("s", np.ones((3, 8), np.float32)), ("z", points)]
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0, block_size=16),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    path = tmp_path / "blocks.onnx"
    _save(path, nodes, [1, 40], [1, 8], [numpy_helper.from_array(array, name) for name, array in constants], opset=21)
    assert facts(path).sparsity == np.mean(stored == points.repeat(16, axis=0)[:40])


def test_of_a_fixed_batch_the_macs_are_those_of_the_whole_feed_which_is_the_example(sparse):
    assert facts(sparse).macs == 8 * 80 * 16


RNG = np.random.default_rng(0)
HALF = np.where(RNG.random((6, 4)) < 0.5, 0, RNG.normal(size=(6, 4))).astype(np.float32)
STORED = RNG.integers(-1, 2, (6, 4)).astype(np.int8)
node = helper.make_node


def _constant(name, array):
    return node("Constant", [], [name], value=numpy_helper.from_array(array))


def _through(steps, name="w"):
    """Nodes that turn a constant over so many times, and the name of what comes out."""
    nodes = [node("Transpose", [name if at == 0 else f"t{at - 1}"], [f"t{at}"], perm=[1, 0]) for at in range(steps)]
    return nodes, f"t{steps - 1}"


ZEROS = {
    "a node that gives it": ([_constant("w", HALF), node("MatMul", ["x", "w"], ["y"])], {}, np.mean(HALF == 0)),
    "another constant beside it": (
        [
            node("Constant", [], ["k"], value_float=1.0),
            node("Div", ["x", "k"], ["d"]),
            node("MatMul", ["d", "w"], ["y"]),
        ],
        {"w": HALF},
        np.mean(HALF == 0),
    ),
    "the left factor": ([node("MatMul", ["w", "x"], ["y"])], {"w": HALF.T}, np.mean(HALF == 0)),
    "two turns": ([*_through(2)[0], node("MatMul", ["x", "t1"], ["y"])], {"w": HALF}, np.mean(HALF == 0)),
    "more turns than are followed": ([*_through(6)[0], node("MatMul", ["x", "t5"], ["y"])], {"w": HALF}, None),
    "a node that changes it": ([node("Relu", ["w"], ["v"]), node("MatMul", ["x", "v"], ["y"])], {"w": HALF}, None),
    "a zero point that is worked out": (
        [
            node("Neg", ["z"], ["p"]),
            node("DequantizeLinear", ["q", "s", "p"], ["w"]),
            node("MatMul", ["x", "w"], ["y"]),
        ],
        {"q": STORED, "s": np.float32(1), "z": np.int8(0)},
        np.mean(STORED == 0),
    ),
    "integers with a zero point": (
        [node("MatMulInteger", ["i", "q", "a", "z"], ["y"])],
        {"i": STORED.T, "q": STORED, "a": np.int8(0), "z": np.int8(1)},
        np.mean(STORED == 1),
    ),
    "integers with a zero point that is worked out": (
        [node("Neg", ["z"], ["p"]), node("MatMulInteger", ["i", "q", "a", "p"], ["y"])],
        {"i": STORED.T, "q": STORED, "a": np.int8(0), "z": np.int8(1)},
        np.mean(STORED == 0),
    ),
}


@pytest.mark.parametrize("what", ZEROS)
def test_the_share_of_zeros_is_that_of_the_weights_wherever_they_are_kept(tmp_path, what):
    nodes, constants, share = ZEROS[what]
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    _save(tmp_path / "m.onnx", nodes, [6, 6], None, kept)
    assert facts(tmp_path / "m.onnx").sparsity == share


def test_of_weights_in_eight_bits_that_are_packed_as_those_of_four_no_zeros_are_told(tmp_path):
    product = node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=32, N=8, bits=8, block_size=32)
    constants = {"w": np.zeros((8, 1, 32), np.uint8), "s": np.ones(8, np.float32)}
    kept = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    _save(tmp_path / "m.onnx", [product], [1, 32], [1, 8], kept, domains=("", "com.microsoft"))
    assert facts(tmp_path / "m.onnx").sparsity is None


def test_factors_of_a_resize_are_no_parameters(tmp_path):
    nodes = [node("Resize", ["x", "", "s"], ["r"]), node("Conv", ["r", "k"], ["y"])]
    constants = {"s": np.array([1, 1, 2, 2], np.float32), "k": np.ones((3, 1, 2, 2), np.float32)}
    kept = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    _save(tmp_path / "m.onnx", nodes, [1, 1, 4, 4], [1, 3, 7, 7], kept)
    known = facts(tmp_path / "m.onnx")
    assert (known.parameters, known.macs) == (12, 12 * 49)


@pytest.mark.parametrize(("order", "macs"), [(("MatMul", "Gelu"), 24), (("Gelu", "MatMul"), None)])
def test_macs_are_told_as_far_as_shapes_are_known(tmp_path, order, macs):
    """What comes out of an operator of another domain has no known shape."""
    made = {"MatMul": (["w"], {}), "Gelu": ([], {"domain": "com.microsoft"})}
    first, last = (made[operator] for operator in order)
    nodes = [node(order[0], ["x", *first[0]], ["h"], **first[1]), node(order[1], ["h", *last[0]], ["y"], **last[1])]
    kept = [numpy_helper.from_array(HALF, "w")]
    _save(tmp_path / "m.onnx", nodes, [1, 6], [1, 4], kept, domains=("", "com.microsoft"))
    assert facts(tmp_path / "m.onnx").macs == macs


@pytest.mark.parametrize("operator", ["FusedMatMul", "QAttention", "DynamicQuantizeLSTM"])
def test_macs_are_not_told_where_an_operator_of_another_domain_multiplies(sparse, operator):
    model = onnx.load(sparse)
    model.graph.node.add().CopyFrom(helper.make_node(operator, ["y"], ["z"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, sparse)
    assert facts(sparse).macs is None


@pytest.mark.parametrize("fmt", BOTH)
def test_the_compressed_size_is_that_of_the_file_and_zeros_compress(mnist, fmt):
    pruned, dense = mnist.artifact("pruned", fmt), mnist.artifact("fp32", fmt)
    content = (mnist.folder / pruned.path).read_bytes()
    assert pruned.bytes_zstd == pytest.approx(len(zstandard.ZstdCompressor(3).compress(content)), rel=0.01)
    assert pruned.bytes_zstd < dense.bytes_zstd
    assert pruned.sparsity > 0.5 > dense.sparsity


def test_every_artifact_names_its_content(mnist):
    for artifact in mnist.bundle.artifacts:
        assert artifact.sha256 == hashlib.sha256((mnist.folder / artifact.path).read_bytes()).hexdigest()
        assert artifact.operators
        assert artifact.parameters
        assert artifact.base == artifact.variant


def _half_quantised(path: Path) -> None:
    one = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(0, np.int8), "zero")
    kernel = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.int8), "kernel")
    shape = numpy_helper.from_array(np.array([1, 64], np.int64), "shape")
    dense = numpy_helper.from_array(np.ones((64, 10), np.float32), "dense")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["kernel", "scale", "zero"], ["kd"]),
        helper.make_node("Conv", ["xd", "kd"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["r"]),
        helper.make_node("MatMul", ["r", "dense"], ["y"]),
    ]
    _save(path, nodes, [1, 1, 8, 8], [1, 10], [one, zero, kernel, shape, dense])


def _save(path, nodes, given, made, constants, domains=("",), opset=17) -> None:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
        constants,
    )
    opsets = [helper.make_opsetid(domain, 1 if domain else opset) for domain in domains]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
