"""The graph surgery around onnxconverter-common's float16 converter, which is not sound with nodes left in float32."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnxconverter_common import float16

from bench.export.half import LARGEST
from bench.export.onnx_channels import used_beside_nodes

_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
LEFT_ALONE = tuple(float16.DEFAULT_OP_BLOCK_LIST)
"""Operators that the converter never converts."""


def to_half(model: ModelProto, kinds: Collection[str], kept: Collection[str]) -> ModelProto:
    """The model in float16 with float32 inputs and outputs, but for operators `kinds` and the nodes `kept`, by name.

    Every node has to have a name of its own. The model that is given is changed as well.
    """
    kinds = {*LEFT_ALONE, *kinds}
    kept = {node.name for node in model.graph.node if node.name in kept or node.op_type in kinds}
    own = _casts_to_float(model, kept)
    outputs = list(model.graph.output)
    withheld = _withhold(model.graph, kept)
    _own_constants(model.graph, kept)
    half = float16.convert_float_to_float16(
        model,
        # Its defaults clip weights far within the type's range.
        min_positive_val=_SMALLEST,
        max_finite_val=LARGEST,
        keep_io_types=True,
        op_block_list=list(kinds),
        node_block_list=list(kept),
    )
    for node in every_node(half.graph):
        if node.name in own:
            # The converter takes the result for float16 already but leaves what the node casts to.
            node.attribute[0].i = TensorProto.FLOAT16
    _give_back(half.graph, withheld, outputs)
    _join(half.graph, kept)
    # The converter also calls float16 what a blocked node gives; the runtime infers types anew.
    del half.graph.value_info[:]
    return _sorted(half)


def every_node(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from every_node(inner)


def _casts_to_float(model: ModelProto, kept: Collection[str]) -> set[str]:
    """The model's own nodes that cast to float32 and are converted, under names by which they are found again."""
    nodes = (node for node in every_node(model.graph) if node.op_type == "Cast" and node.name not in kept)
    casts = [node for node in nodes if node.attribute[0].i == TensorProto.FLOAT]
    for number, node in enumerate(casts):
        node.name = f"cast_to_float_{number}"
    return {node.name for node in casts}


def _withhold(graph: GraphProto, kept: Collection[str]) -> dict[str, tuple[str, int]]:
    """Take the float outputs of nodes that stay float32 off the graph: before an output the converter's casts fail.

    Gives the node and which of its outputs each one is, by name.
    """
    made_by = {name: (node, place) for node in graph.node for place, name in enumerate(node.output)}
    taken: dict[str, tuple[str, int]] = {}
    for value in list(graph.output):
        node, place = made_by.get(value.name, (None, 0))
        if node is None or node.name not in kept or value.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        graph.output.remove(value)
        inner = graph.value_info.add()
        inner.CopyFrom(value)
        inner.name = node.output[place] = f"{value.name}_in_float32"
        _rename(graph, {value.name: inner.name})
        taken[value.name] = node.name, place
    return taken


def _give_back(graph: GraphProto, withheld: dict[str, tuple[str, int]], outputs: Sequence[ValueInfoProto]) -> None:
    """The outputs as they were, those that were withheld in float32 from the node that makes them."""
    nodes = {node.name: node for node in graph.node}
    for name, (node, place) in withheld.items():
        graph.node.append(helper.make_node("Identity", [nodes[node].output[place]], [name], name=f"{name}_in_float32"))
    del graph.output[:]
    graph.output.extend(outputs)


def _own_constants(graph: GraphProto, kept: Collection[str]) -> None:
    """Copies for the nodes `kept` of constants that others take too: the converter leaves those float32 for all."""
    tensors = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    others = {name for node in graph.node if node.name not in kept for name in node.input} | used_beside_nodes(graph)
    copies: dict[str, str] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if node.name in kept and name in tensors and name in others:
                if name not in copies:
                    copy = graph.initializer.add()
                    copy.CopyFrom(tensors[name])
                    copy.name = copies[name] = f"{name}_in_float32"
                node.input[place] = copies[name]


def _join(graph: GraphProto, kept: Collection[str]) -> None:
    """Past casts to float16 and back between nodes that stay float32, which would lose what lies beyond its range."""
    wide = {name for node in graph.node if node.name in kept for name in node.output}
    casts = [node for node in graph.node if node.op_type == "Cast"]
    narrowed = {node.output[0]: node.input[0] for node in casts if node.input[0] in wide and _to(node, "FLOAT16")}
    widened = [node for node in casts if node.input[0] in narrowed and _to(node, "FLOAT")]
    _rename(graph, {node.output[0]: narrowed[node.input[0]] for node in widened})
    for unused in (widened, [node for node in casts if node.output[0] in narrowed]):
        used = {name for node in graph.node for name in node.input} | used_beside_nodes(graph)
        for node in unused:
            if node.output[0] not in used:
                graph.node.remove(node)


def _to(cast: NodeProto, kind: str) -> bool:
    return bool(cast.attribute[0].i == TensorProto.DataType.Value(kind))


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Let all nodes that take one of `names` take what it stands for."""
    for node in every_node(graph):
        node.input[:] = [names.get(name, name) for name in node.input]


def _sorted(model: ModelProto) -> ModelProto:
    """The same graph with its nodes in order: the converter puts casts of what a subgraph takes at the end."""
    from onnx_ir import serde

    held = serde.deserialize_model(model)
    held.graph.sort()
    return serde.serialize_model(held)
