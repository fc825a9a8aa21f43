"""Generates small models with ONNX's own builder.

    python models.py FOLDER     writes all of them
"""

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

# Names of the protocol, with the types of ONNX.
TYPES = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def tensor(name, element, shape):
    return helper.make_tensor_value_info(name, element, shape)


def write(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, Path(path).stem, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def identity(path, element, shape=("rows", "columns")):
    """One input `x`, one output `y` with the same elements."""
    write(path, [helper.make_node("Identity", ["x"], ["y"])],
          [tensor("x", element, shape)], [tensor("y", element, shape)])


def add_sub(path):
    """Two inputs `a` and `b`, two outputs `sum` and `difference`."""
    shape = ["n"]
    write(path,
          [helper.make_node("Add", ["a", "b"], ["sum"]),
           helper.make_node("Sub", ["a", "b"], ["difference"])],
          [tensor(name, TensorProto.FLOAT, shape) for name in ("a", "b")],
          [tensor(name, TensorProto.FLOAT, shape) for name in ("sum", "difference")])


def count(path):
    """Counts to its input `n`, one step after another, so that a client decides how long it takes."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["continue"], ["continues"]),
         helper.make_node("Add", ["so_far", "one"], ["more"])],
        "step",
        [tensor("step", TensorProto.INT64, []), tensor("continue", TensorProto.BOOL, []),
         tensor("so_far", TensorProto.FLOAT, [1])],
        [tensor("continues", TensorProto.BOOL, []), tensor("more", TensorProto.FLOAT, [1])],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])])
    write(path,
          [helper.make_node("Squeeze", ["n"], ["steps"]),
           helper.make_node("Loop", ["steps", "", "zero"], ["total"], body=body)],
          [tensor("n", TensorProto.INT64, [1])], [tensor("total", TensorProto.FLOAT, [1])],
          [helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])])


def offset(path, value):
    """Adds a constant, so that an answer shows which model gave it."""
    write(path, [helper.make_node("Add", ["x", "value"], ["y"])],
          [tensor("x", TensorProto.FLOAT, [4])], [tensor("y", TensorProto.FLOAT, [4])],
          [helper.make_tensor("value", TensorProto.FLOAT, [1], [float(value)])])


def write_all(folder):
    for name, element in TYPES.items():
        identity(folder / f"identity_{name.lower()}.onnx", element)
    add_sub(folder / "add_sub.onnx")
    count(folder / "count.onnx")
    (folder / "broken.onnx").write_bytes(b"not a model")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
