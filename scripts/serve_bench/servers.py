"""divvy, and the bare servers that bound it."""

import http.client
import json
import os
from pathlib import Path

from .process import GrpcServer, Server, free_port
from .protocol import http_answer

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CORES = 2

GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
GRPC_HEADERS = {"content-type": "application/grpc", "te": "trailers"}


def divvy_command(work, model, listen):
    layout = work / "layout.toml"
    layout.write_text(
        f'version = 1\n\n[[model]]\nname = "m"\npath = {json.dumps(str(model))}\n'
        f'cores = {CORES}\nthreads = 1\nconcurrency = {CORES}\n')
    return [TARGET / "divvy", layout, "--headless", *listen, "--engine", "onnxruntime"]


def divvy(work, model, body, headers):
    port = free_port()
    command = divvy_command(work, model, ["--listen", port])
    return Server("divvy", command, port, "/v2/models/m/infer", body, headers, http_answer,
                  {"XDG_STATE_HOME": str(work / "state")})


def divvy_grpc(work, model, body):
    port = free_port()
    command = divvy_command(work, model, ["--listen-grpc", port])
    return GrpcServer("divvy", command, port, GRPC_PATH, body, GRPC_HEADERS, None,
                      {"XDG_STATE_HOME": str(work / "state")})


def echo(body, headers):
    port = free_port()
    command = [TARGET / "examples/echo", f"127.0.0.1:{port}", CORES]
    return Server("echo", command, port, "/", body, headers, lambda _answer, content: content)


def echo_grpc(body):
    port = free_port()
    command = [TARGET / "examples/echo", f"127.0.0.1:{port}", CORES]
    return GrpcServer("echo", command, port, GRPC_PATH, body, GRPC_HEADERS, None)


def metadata(work, model):
    """Returns the names and shapes of the model's inputs and outputs, as divvy says."""
    server = divvy(work, model, b"{}", {})
    server.request = lambda: read_metadata(server.port)
    answer = server.start(work)
    server.stop()
    return answer


def read_metadata(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/v2/models/m/ready")
        ready = connection.getresponse()
        ready.read()
        if ready.status != 200:
            raise ValueError(f"not ready: {ready.status}")
        connection.request("GET", "/v2/models/m")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
