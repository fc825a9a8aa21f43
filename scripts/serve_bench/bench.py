"""The rows of the bench: a model that does nothing, over HTTP and gRPC, and a real model beside its peers."""

import struct
from pathlib import Path

from . import peers, servers
from .load import direct
from .protocol import grpc_request, http_request, identity_model
from .report import measure, median, print_table
from .servers import CORES


def values(count):
    """Returns the bytes of an input."""
    return struct.pack(f"<{count}f", *(at % 251 / 251 for at in range(count)))


def bench_identity(work, args):
    for count, title in [(4, "Identity, 16 B"), (27_500, "Identity, 110 KB")]:
        model = work / f"identity-{count}.onnx"
        model.write_bytes(identity_model([1, count]))
        content = values(count)
        body, headers = http_request("x", [1, count], content)
        call = grpc_request("m", "x", [1, count], content)
        protocols = {
            "HTTP": [servers.echo(body, headers), servers.divvy(work, model, body, headers)],
            "gRPC": [servers.echo_grpc(call), servers.divvy_grpc(work, model, call)],
        }
        for protocol, compared in protocols.items():
            cells = {}
            for _ in range(args.rounds):
                measure(compared, work, args, cells, content)
            print_table(f"{title}, {protocol}", cells, ["echo", "divvy"], args.connections, "echo")


def bench_model(work, args):
    model, shape = Path(args.model).resolve(), [int(dim) for dim in args.shape.split(",")]
    count = 1
    for dim in shape:
        count *= dim
    content = values(count)
    metadata = servers.metadata(work, model)
    body, headers = http_request(metadata["inputs"][0]["name"], shape, content)
    case = peers.Case(work, model, metadata, shape, content, body, headers)
    compared = [servers.echo(body, headers), servers.divvy(work, model, body, headers)]
    compared += peers.find(case, args.peers)
    cells = {}
    for _ in range(args.rounds):
        for count in args.connections:
            cell = direct(model, args.shape, min(count, CORES), args.time)
            cells.setdefault(("direct", count), []).append(cell)
        measure(compared, work, args, cells)
    for count in args.connections:
        alone, echo = median(cells["direct", count]), median(cells["echo", count])
        rate = (1 / (1 / alone["rate"] + 1 / echo["rate"]) if count == 1
                else 1e6 * CORES / (alone["cpu_us"] + echo["cpu_us"]))
        cells["limit", count] = [{"rate": rate, "cpu_us": alone["cpu_us"] + echo["cpu_us"]}]
    names = ["direct", "echo", "limit"] + [server.name for server in compared[1:]]
    print_table(f"{model.name} {args.shape}", cells, names, args.connections, "limit")
