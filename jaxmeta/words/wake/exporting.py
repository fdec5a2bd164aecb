"""The head of a wake word as a file for openWakeWord: ONNX, or TFLite, which Home Assistant takes.

Both hold what openWakeWord expects: the last 16 embeddings [1, 16, 96] in, a score in [0, 1] out [1, 1]. A score of 0.5
is the threshold that was chosen in training, and 0.5 is what openWakeWord's users take unless they choose.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxmeta.files.durable import write_bytes
from jaxmeta.words.wake.head import Layer, logits, scores
from jaxmeta.words.wake.stream import CONTEXT, FEATURES

Format = Literal["openwakeword", "tflite"]
_SUFFIXES: dict[str, str] = {"openwakeword": ".onnx", "tflite": ".tflite"}
_IR, _OPSET = 8, 13
"""Of ONNX: what onnxruntime of 2022 reads too, for the devices that wake words run on are old."""


class Checked(NamedTuple):
    """How far the scores of a file are from those of the head, and its size."""

    difference: float
    """Largest difference between a score of the file and that of the head."""
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.size:,} bytes, scores within {self.difference:.1e} of the wake word's"


def export_head(layers: Sequence[Layer], path: Path, to: Format, about: dict[str, Any]) -> Checked:
    """Write a head, and compare scores of the file with its own, from its lowest to well above 0.5.

    Args:
      layers: of the head.
      path: of the file, with the suffix .onnx or .tflite, by which openWakeWord tells what it is.
      to: the format.
      about: for the file's metadata.
    Raises:
      ValueError: another suffix. ImportError: names the extra that is missing.
    """
    if path.suffix != _SUFFIXES[to]:
        raise ValueError(f"--out {path}: openWakeWord tells a file by its suffix; let it end in {_SUFFIXES[to]}.")
    content = _onnx(layers, about) if to == "openwakeword" else _tflite(layers, about)
    inputs = _probes(layers)
    run = _run_onnx if to == "openwakeword" else _run_tflite
    difference = float(np.abs(run(content, inputs) - scores(layers, inputs)).max())
    write_bytes(path, content)
    return Checked(difference, len(content))


def _probes(layers: Sequence[Layer]) -> np.ndarray:
    """Windows of embeddings [20, 16, 96], with scores that rise to 0.95: those of random ones are all next to 0."""
    direction = layers[0].weight
    for layer in layers[1:]:
        direction = direction @ layer.weight
    window = (direction[:, 0] / np.linalg.norm(direction)).reshape(1, CONTEXT, FEATURES)
    size = 1.0
    while size < 1e6 and logits(layers, size * window)[0] < 3:
        size *= 2
    return (np.linspace(0, size, 20)[:, None, None] * window).astype(np.float32)


def _onnx(layers: Sequence[Layer], about: dict[str, Any]) -> bytes:
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ImportError(f"ONNX needs {error.name}; install the extra: pip install 'jaxmeta[onnx]'") from error
    nodes, weights, name = [helper.make_node("Flatten", ["embeddings"], ["flat"], axis=1)], [], "flat"
    for index, layer in enumerate(layers):
        for part, array in (("weight", layer.weight), ("bias", layer.bias)):
            weights.append(numpy_helper.from_array(np.asarray(array, np.float32), f"{part}{index}"))
        nodes.append(helper.make_node("Gemm", [name, f"weight{index}", f"bias{index}"], [f"dense{index}"]))
        name = "score" if index == len(layers) - 1 else f"hidden{index}"
        nodes.append(helper.make_node("Sigmoid" if name == "score" else "Relu", [f"dense{index}"], [name]))
    form = helper.make_tensor_value_info("embeddings", onnx.TensorProto.FLOAT, [1, CONTEXT, FEATURES])
    score = helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "wake word", [form], [score], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    helper.set_model_props(model, {"jaxmeta": json.dumps(about)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _tflite(layers: Sequence[Layer], about: dict[str, Any]) -> bytes:
    """Fully connected layers, which take all but the last axis of their input as rows: [1, 16, 96] is one row."""
    try:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise ImportError(f"TFLite needs {error.name}; install the extra: pip install 'jaxmeta[tflite]'") from error
    buffers, tensors, operators = [schema.BufferT()], [], []

    def tensor(name: str, shape: Sequence[int], data: np.ndarray | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), schema.TensorType.FLOAT32
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, np.float32).tobytes(), np.uint8)
            buffers.append(buffer)
            made.buffer = len(buffers) - 1
        tensors.append(made)
        return len(tensors) - 1

    def operator(code: int, inputs: list[int], output: int) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        operators.append(made)
        return made

    here = first = tensor("embeddings", [1, CONTEXT, FEATURES])
    for index, layer in enumerate(layers):
        last, units = index == len(layers) - 1, len(layer.bias)
        weight = tensor(f"weight{index}", [units, len(layer.weight)], layer.weight.T)
        bias, output = tensor(f"bias{index}", [units], layer.bias), tensor(f"dense{index}", [1, units])
        options = schema.FullyConnectedOptionsT()
        activations = schema.ActivationFunctionType
        options.fusedActivationFunction = activations.NONE if last else activations.RELU
        made = operator(0, [here, weight, bias], output)
        made.builtinOptionsType, made.builtinOptions = schema.BuiltinOptions.FullyConnectedOptions, options
        here = output
    score = tensor("score", [1, 1])
    operator(1, [here], score)
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = (
        b"main",
        tensors,
        operators,
        [first],
        [score],
    )
    model.version, model.subgraphs, model.buffers = 3, [graph], buffers
    model.description = json.dumps(about).encode()
    model.operatorCodes = [
        _code(schema, getattr(schema.BuiltinOperator, each)) for each in ("FULLY_CONNECTED", "LOGISTIC")
    ]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _code(schema: Any, number: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = 1
    return code


def _run_onnx(content: bytes, inputs: np.ndarray) -> np.ndarray:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("ONNX needs onnxruntime; install the extra: pip install 'jaxmeta[onnx]'") from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"embeddings": each[None]})[0][0] for each in inputs])


def _run_tflite(content: bytes, inputs: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    made = []
    for each in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], each[None])
        interpreter.invoke()
        made.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.concatenate(made)
