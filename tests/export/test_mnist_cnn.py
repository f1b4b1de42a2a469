"""The zoo's mnist_cnn through the whole export, judged by the runtimes themselves."""

from __future__ import annotations

import numpy as np
import pytest

from bench.export.variants import VARIANTS

pytestmark = pytest.mark.slow
BOTH = ["onnx", "tflite"]


@pytest.fixture
def outputs(mnist, run_onnx, run_tflite):
    def run(variant, fmt):
        path = mnist.folder / mnist.artifact(variant, fmt).path
        return (run_onnx if fmt == "onnx" else run_tflite)(path, mnist.inputs)

    return run


@pytest.fixture
def accuracy(mnist, outputs):
    return lambda variant, fmt: float(np.mean(outputs(variant, fmt).argmax(axis=1) == mnist.labels))


def test_every_variant_exists_in_all_of_its_formats(mnist):
    expected = {(name, fmt) for name, spec in VARIANTS.items() for fmt in spec.formats}
    assert {(a.variant, a.format) for a in mnist.bundle.artifacts} == expected
    assert not mnist.bundle.unavailable


def test_the_trained_model_reaches_its_quality_floor(mnist):
    assert mnist.bundle.model.quality_floor == 0.96
    assert mnist.bundle.model.source_quality >= 0.98
    assert mnist.bundle.model.source_quality == np.mean(mnist.reference.argmax(axis=1) == mnist.labels)


def test_the_data_is_named_and_held_out(mnist):
    assert mnist.bundle.data.name == "digits-28x28 (scikit-learn)"
    assert not mnist.bundle.data.generated
    assert mnist.inputs.shape == (600, 28, 28, 1)


@pytest.mark.parametrize("fmt", BOTH)
def test_fp32_agrees_with_keras_on_held_out_data(mnist, outputs, fmt):
    assert np.abs(outputs("fp32", fmt) - mnist.reference).max() < 1e-4


@pytest.mark.parametrize("fmt", BOTH)
def test_fp16_agrees_to_half_precision(mnist, outputs, fmt):
    assert np.abs(outputs("fp16", fmt) - mnist.reference).max() < 2e-2


@pytest.mark.parametrize(
    ("variant", "fmt"), [(name, fmt) for name, spec in VARIANTS.items() for fmt in spec.formats if name != "fp32"]
)
def test_accuracy_stays_within_two_points_of_fp32(accuracy, variant, fmt):
    assert accuracy(variant, fmt) >= accuracy("fp32", fmt) - 0.02


@pytest.mark.parametrize("fmt", BOTH)
def test_int8_is_about_a_quarter_and_fp16_half_of_fp32(mnist, fmt):
    whole = mnist.artifact("fp32", fmt).bytes
    assert mnist.artifact("int8", fmt).bytes < 0.35 * whole
    assert 0.4 * whole < mnist.artifact("fp16", fmt).bytes < 0.6 * whole


def test_int8_tflite_takes_and_gives_int8(mnist):
    artifact = mnist.artifact("int8", "tflite")
    (given,), (made,) = artifact.inputs, artifact.outputs
    assert (given.dtype, made.dtype) == ("int8", "int8")
    assert given.scale == pytest.approx(1 / 255, rel=1e-3)
    assert given.zero_point == -128
    assert made.scale is not None


@pytest.mark.parametrize("variant", ["pruned", "pruned-int8"])
def test_zeros_in_the_onnx_file(mnist, variant):
    import onnx
    from onnx import numpy_helper

    artifact = mnist.artifact(variant, "onnx")
    model = onnx.load(str(mnist.folder / artifact.path))
    kernels = [numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) >= 2]
    assert len(kernels) == 5
    share = sum((k == 0).sum() for k in kernels) / sum(k.size for k in kernels)
    assert share >= 0.70
    assert artifact.sparsity == pytest.approx(share)
    assert min((k == 0).mean() for k in kernels) >= 0.70


@pytest.mark.parametrize("variant", ["pruned", "pruned-int8"])
def test_zeros_in_the_tflite_file_as_the_interpreter_reads_them(mnist, variant):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    artifact = mnist.artifact(variant, "tflite")
    # Without the delegate, which would repack the weights.
    interpreter = Interpreter(
        model_path=str(mnist.folder / artifact.path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    operators = [o for o in interpreter._get_ops_details() if o["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    kernels = [interpreter.get_tensor(o["inputs"][1]) for o in operators]
    share = sum((k == 0).sum() for k in kernels) / sum(k.size for k in kernels)
    assert len(kernels) == 5
    assert share >= 0.70
    assert artifact.sparsity == pytest.approx(share)


def test_a_dense_model_is_not_called_sparse(mnist):
    assert mnist.artifact("fp32", "onnx").sparsity < 0.01


@pytest.mark.parametrize("fmt", BOTH)
def test_parameters_and_macs_are_those_of_the_architecture(mnist, fmt):
    parameters = (9 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 64 + (576 + 1) * 64 + (64 + 1) * 10
    macs = 26**2 * 32 * 9 + 11**2 * 64 * 9 * 32 + 3**2 * 64 * 9 * 64 + 576 * 64 + 64 * 10
    for variant, spec in VARIANTS.items():
        if fmt in spec.formats and not variant.startswith("pruned-channels"):
            artifact = mnist.artifact(variant, fmt)
            assert (artifact.parameters, artifact.macs) == (parameters, macs)


@pytest.mark.parametrize("fmt", BOTH)
@pytest.mark.parametrize("variant", ["pruned-channels", "pruned-channels-int8"])
def test_half_the_channels_take_about_a_quarter_of_the_macs_and_of_the_parameters(mnist, variant, fmt):
    dense, small = mnist.artifact("fp32", fmt), mnist.artifact(variant, fmt)
    assert 0.2 * dense.macs < small.macs < 0.3 * dense.macs
    assert 0.2 * dense.parameters < small.parameters < 0.3 * dense.parameters
    assert small.bytes < mnist.artifact("int8" if variant.endswith("int8") else "fp32", fmt).bytes


def test_the_onnx_batch_axis_is_free_and_called_batch(mnist):
    import onnx

    model = onnx.load(str(mnist.folder / mnist.artifact("fp32", "onnx").path))
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert mnist.artifact("fp32", "onnx").opset >= 17
    assert mnist.artifact("fp32", "onnx").inputs[0].shape == (None, 28, 28, 1)
    assert not {"Shape", "Slice", "Concat", "Gather"} & set(mnist.artifact("fp32", "onnx").operators)


def test_the_tflite_batch_axis_is_free(mnist):
    for variant in (name for name, spec in VARIANTS.items() if "tflite" in spec.formats):
        assert mnist.artifact(variant, "tflite").inputs[0].shape == (None, 28, 28, 1)
        assert mnist.artifact(variant, "tflite").outputs[0].shape == (None, 10)


def test_static_int8_onnx_is_qdq_per_channel(mnist):
    import onnx

    artifact = mnist.artifact("int8", "onnx")
    assert artifact.operators["QuantizeLinear"] > 0
    model = onnx.load(str(mnist.folder / artifact.path))
    scales = {t.name: t for t in model.graph.initializer}
    sizes = [len(scales[n.input[1]].dims) for n in model.graph.node if n.op_type == "DequantizeLinear"]
    assert 1 in sizes
    assert "256 calibration examples" in " ".join(artifact.notes)
