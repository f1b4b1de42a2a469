"""A TFLite file with two inputs, a and b, and two outputs: one operator makes each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers


def paired(path: Path, *kinds: str, width: int = 4) -> Path:
    """`kinds` are the builtin operators of the outputs, which have their names in lower case."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, "pairs"
    model.buffers, model.operatorCodes = [schema.BufferT()], []
    graph = schema.SubGraphT()
    graph.name, graph.inputs, graph.outputs = "main", [0, 1], [2 + at for at in range(len(kinds))]
    graph.tensors, graph.operators = [], []

    def tensor(name: str) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, width], schema.TensorType.FLOAT32, 0
        return made

    graph.tensors = [tensor(name) for name in ("a", "b", *(kind.lower() for kind in kinds))]
    for at, kind in enumerate(kinds):
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        model.operatorCodes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = at, [0, 1], [2 + at]
        options = "".join(part.title() for part in kind.split("_")) + "Options"
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        made.builtinOptions = getattr(schema, f"{options}T")()
        graph.operators.append(made)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
