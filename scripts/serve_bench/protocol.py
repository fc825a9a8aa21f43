"""Requests and answers of the Open Inference Protocol over HTTP and gRPC, and a model that returns its input."""

import json
import struct


def floats(content):
    return struct.unpack(f"<{len(content) // 4}f", content)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    """Returns a field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def read_field(message, number):
    """Returns the first field of bytes with this number."""

    def read_varint(at):
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            if message[at] < 128:
                return value, at + 1
            at, shift = at + 1, shift + 7

    at = 0
    while at < len(message):
        key, at = read_varint(at)
        size, start = read_varint(at)
        if key & 7 == 2:
            if key >> 3 == number:
                return message[start:start + size]
            start += size
        at = start
    raise ValueError(f"the message has no field {number}")


def identity_model(shape):
    """Returns an ONNX model that returns its only input."""

    def value_info(name):
        dims = b"".join(field(1, field(1, dim)) for dim in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    node = field(1, "x") + field(2, "y") + field(3, "identity") + field(4, "Identity")
    graph = field(1, node) + field(2, "graph") + field(11, value_info("x")) + field(12, value_info("y"))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def http_request(name, shape, content):
    """Returns the body and headers of a request with a binary tensor."""
    head = json.dumps({
        "inputs": [{"name": name, "datatype": "FP32", "shape": shape,
                    "parameters": {"binary_data_size": len(content)}}],
        "parameters": {"binary_data_output": True},
    }).encode()
    return head + content, {"Content-Type": "application/octet-stream",
                            "Inference-Header-Content-Length": str(len(head))}


def http_answer(answer, content):
    """Returns the bytes of the first output."""
    head_length = int(answer.getheader("Inference-Header-Content-Length"))
    first = json.loads(content[:head_length])["outputs"][0]
    return content[head_length:head_length + first["parameters"]["binary_data_size"]]


def grpc_request(model, name, shape, content):
    """Returns the body of a call of ModelInfer: the frame of its message."""
    dims = b"".join(varint(dim) for dim in shape)
    tensor = field(1, name) + field(2, "FP32") + field(3, dims)
    message = field(1, model) + field(5, tensor) + field(7, content)
    return struct.pack(">BI", 0, len(message)) + message


def grpc_answer(content):
    """Returns the bytes of the first output."""
    _, size = struct.unpack_from(">BI", content)
    return read_field(content[5:5 + size], 6)
