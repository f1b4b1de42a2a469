"""From a float TFLite file to a smaller one by ai-edge-quantizer, without TensorFlow."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bench.export.origin import Feed
from bench.export.tflite import packed
from bench.export.tflite_facts import operator_name

_SIGNATURE = "serving_default"
_HALF = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "EMBEDDING_LOOKUP")
"""The operators whose weights the quantiser can store in float16."""


class FloatTflite:
    """A float32 TFLite model and what can be made of it. `names` are its inputs', of tensors or signature.

    `calibration` is what `static` takes the ranges of activations from. A layer is called by its operator and place in
    the float file, such as `CONV_2D:3`.
    """

    def __init__(self, content: bytes, names: Sequence[str], calibration: Sequence[Feed] = ()) -> None:
        self._content = _signed(content)
        self._names = names
        self._calibration = calibration

    def dynamic(self) -> bytes:
        """int8 weights, one scale a channel; activations quantised at run time."""
        from ai_edge_quantizer import recipe

        return self._quantised(recipe.dynamic_wi8_afp32())

    def half(self) -> bytes:
        """Weights of convolutions and matrix products in float16, each behind a DEQUANTIZE."""
        from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

        manager = recipe_manager.RecipeManager()
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        for name in _HALF:
            manager.add_quantization_config(
                ".*", qtyping.TFLOperationName(name), config, algorithm_manager.AlgorithmName.FLOAT_CASTING
            )
        return self._quantised(manager.get_quantization_recipe())

    def static(
        self,
        *,
        activation_bits: int = 8,
        per_channel: bool = True,
        left_float: Sequence[str] = (),
    ) -> bytes:
        """int8 weights and integer activations, inputs and outputs; the layers `left_float` stay as they are.

        The range of an activation is its smallest to its largest value on the calibration data. Inputs stay float
        where all that read them do, outputs likewise.
        """
        from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

        granularity = qtyping.QuantGranularity.CHANNELWISE if per_channel else qtyping.QuantGranularity.TENSORWISE
        every = qtyping.TFLOperationName.ALL_SUPPORTED
        manager = recipe_manager.RecipeManager()
        manager.add_static_config(".*", every, activation_bits, 8, granularity)
        for scope in self._float_scopes(left_float):
            manager.add_quantization_config(
                f"^{re.escape(scope)}$", every, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
            )
        return self._quantised(manager.get_quantization_recipe(), copy.deepcopy(self._ranges))

    def integer_layers(self, quantised: bytes) -> list[str]:
        """The layers whose output is integer in a file that `static` made of this one."""
        from ai_edge_litert import schema_py_generated as schema

        graph = schema.ModelT.InitFromPackedBuf(quantised, 0).subgraphs[0]
        integers = {schema.TensorType.INT8, schema.TensorType.INT16}
        tensors = {_text(tensor.name) for tensor in graph.tensors if tensor.type in integers}
        return [layer for layer, op in self._operators.items() if _text(self._tensors[op.outputs[0]].name) in tensors]

    def tensor_names(self) -> dict[str, list[str]]:
        """The names of what each layer writes; a converter that fused operations joined their names by semicolons."""
        return {
            layer: [part for index in op.outputs for part in _text(self._tensors[index].name).split(";")]
            for layer, op in self._operators.items()
        }

    @cached_property
    def _model(self) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        return schema.ModelT.InitFromPackedBuf(self._content, 0)

    @property
    def _graph(self) -> Any:
        return self._model.subgraphs[0]

    @property
    def _tensors(self) -> Any:
        return self._graph.tensors

    @cached_property
    def _operators(self) -> dict[str, Any]:
        operators = enumerate(self._graph.operators)
        return {f"{operator_name(self._model, op)}:{place}": op for place, op in operators if len(op.outputs)}

    def _float_scopes(self, layers: Sequence[str]) -> list[str]:
        """What the quantiser calls these layers, and inputs and outputs that only they touch."""
        float_ops = [self._operators[layer] for layer in layers]
        others = [op for layer, op in self._operators.items() if layer not in layers]
        scopes = [self._scope(op.outputs) for op in float_ops]
        inputs, outputs = self._graph.inputs, self._graph.outputs
        if layers and not _indices(others, "inputs") & set(inputs):
            scopes.append(self._scope(inputs))
        if layers and not _indices(others, "outputs") & set(outputs):
            scopes.append(self._scope(outputs))
        return scopes

    def _scope(self, tensors: Sequence[int]) -> str:
        return "".join(f"{_text(self._tensors[index].name)};" for index in tensors)

    @cached_property
    def _ranges(self) -> Any:
        """The range of every tensor over the calibration data: one measurement, whatever is made with it."""
        from ai_edge_quantizer import calibrator, recipe, recipe_manager
        from ai_edge_quantizer.utils import qsv_utils

        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(recipe.static_wi8_ai8())
        # The quantiser's own default, a moving average of ranges, cuts off the inputs of rare examples.
        tool = calibrator.Calibrator(self._content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        key, inputs = _signature(self._content)
        by_name = dict(zip(self._names, zip(*self._calibration, strict=True), strict=True))
        columns = {
            signed: by_name[tensor] if tensor in by_name else by_name[signed] for signed, tensor in inputs.items()
        }
        examples = [{signed: column[i] for signed, column in columns.items()} for i in range(len(self._calibration))]
        tool.calibrate({key: examples}, manager)
        return tool.get_model_qsvs()

    def _quantised(self, recipe: Any, seen: Any = None) -> bytes:
        from ai_edge_quantizer import quantizer

        tool = quantizer.Quantizer(bytearray(self._content))
        tool.load_quantization_recipe(recipe)
        return bytes(tool.quantize(seen, enable_progress_report=False).quantized_model)


def _indices(operators: Sequence[Any], side: str) -> set[int]:
    return {int(index) for op in operators for index in getattr(op, side)}


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name or "")


def _signature(content: bytes) -> tuple[str, dict[str, str]]:
    """The key of the first signature, and the tensor name behind each of its input names."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    key = next(iter(interpreter.get_signature_list()))
    details = interpreter.get_signature_runner(key).get_input_details()
    return key, {name: str(detail["name"]) for name, detail in details.items()}


def _signed(content: bytes) -> bytes:
    """The model with a signature, as the quantiser wants it; tensor names where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if model.signatureDefs:
        return content
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = _SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = [_tensor_map(schema, graph, int(index)) for index in graph.inputs]
    signature.outputs = [_tensor_map(schema, graph, int(index)) for index in graph.outputs]
    model.signatureDefs = [signature]
    return packed(model)


def _tensor_map(schema: Any, graph: Any, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name = graph.tensors[index].name
    entry.tensorIndex = index
    return entry
