"""Clients that misbehave: half requests, a slow reader, and a server that is killed."""

import json
import socket
import time

import divvy
import models
import protocols
import pytest

HALF_REQUESTS = 1000
# Bytes of an answer that no socket buffer holds.
ANSWER_BYTES = 32 << 20


def connect(server):
    host, port = server.http.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def large_request():
    """A request whose answer is as large as ANSWER_BYTES."""
    columns = ANSWER_BYTES // 4
    head = json.dumps({
        "parameters": {"binary_data_output": True},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, columns],
                    "parameters": {"binary_data_size": ANSWER_BYTES}}],
    }).encode()
    return (f"POST /v2/models/identity_fp32/infer HTTP/1.1\r\nHost: divvy\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\n"
            f"Content-Length: {len(head) + ANSWER_BYTES}\r\n\r\n").encode() + head + bytes(
                ANSWER_BYTES)


def assert_serves(http, count=20):
    for n in range(count):
        answer = http.infer("add_sub", {"a": protocols.floats(n), "b": protocols.floats(1)})
        assert answer.as_numpy("sum").tolist() == [n + 1]


@pytest.mark.parametrize("part", ["head", "body"])
def test_half_requests_block_no_one(tmp_path, part):
    body = b'{"inputs": [{"name": "a", "datatype": "FP32", "shape": [1], "data": [1]}]}'
    whole = (f"POST /v2/models/add_sub/infer HTTP/1.1\r\nHost: divvy\r\n"
             f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    half = whole[:40] if part == "head" else whole[:-10]
    models.add_sub(tmp_path / "add_sub.onnx")
    running = divvy.Divvy(tmp_path, divvy.write_layout(tmp_path, divvy.row("add_sub")))
    opened = []
    try:
        running.wait_until_serving("add_sub")
        for _ in range(HALF_REQUESTS):
            opened.append(connect(running))
            opened[-1].sendall(half)
        with protocols.Http(running) as http:
            assert_serves(http)
            for stream in opened:
                stream.close()
            assert_serves(http)
    finally:
        for stream in opened:
            stream.close()
        running.end()


def test_slow_reader_blocks_no_one(server, http):
    with connect(server) as slow:
        slow.sendall(large_request())
        assert slow.recv(1)
        for _ in range(3):
            assert_serves(http)
            answer = http.infer("identity_fp32", {"x": protocols.rows(5)})
            assert answer.as_numpy("y").tolist() == [[5]]
            time.sleep(1)
            assert slow.recv(1)


def test_kill_frees_the_port_at_once(tmp_path):
    models.add_sub(tmp_path / "add_sub.onnx")
    layout = divvy.write_layout(tmp_path, divvy.row("add_sub"))
    first = divvy.Divvy(tmp_path, layout)
    second = None
    try:
        first.wait_until_serving("add_sub")
        with protocols.Http(first) as open_connection:
            assert_serves(open_connection)
            first.process.kill()
            first.process.wait()
            second = divvy.Divvy(tmp_path, layout, port=first.http.split(":")[1])
            second.wait_until_serving("add_sub")
            with protocols.Http(second) as http:
                assert_serves(http)
    finally:
        first.end()
        if second is not None:
            second.end()
