"""Every outcome has its status in both protocols, and its message names what is wrong."""

import divvy
import models
import numpy as np
import protocols
import pytest


def test_wrong_type_names_the_input(client):
    array = np.array([[1]], dtype=np.int32)
    message = client.refusal(
        "bad request", lambda: client.infer("identity_fp32", {"x": (array, "INT32")}))
    assert "`x`" in message and "INT32" in message and "FP32" in message


def test_wrong_rank_names_the_input(client):
    message = client.refusal(
        "bad request", lambda: client.infer("identity_fp32", {"x": protocols.floats(1)}))
    assert "x" in message


@pytest.mark.parametrize("inputs", [
    {"a": protocols.floats(1)},
    {"a": protocols.floats(1), "b": protocols.floats(1), "c": protocols.floats(1)},
])
def test_wrong_set_of_inputs_is_refused(client, inputs):
    message = client.refusal("bad request", lambda: client.infer("add_sub", inputs))
    assert ("c" if "c" in inputs else "b") in message


def test_unknown_output_is_refused(client):
    message = client.refusal("bad request", lambda: client.infer(
        "identity_fp32", {"x": protocols.rows(1)}, outputs=["z"]))
    assert "z" in message


def test_mismatched_shapes_are_a_bad_request(client):
    inputs = {"a": protocols.floats(1, 2, 3), "b": protocols.floats(1, 2)}
    client.refusal("bad request", lambda: client.infer("add_sub", inputs))
    answer = client.infer("add_sub", {"a": protocols.floats(1), "b": protocols.floats(1)})
    assert answer.as_numpy("sum").tolist() == [2]


@pytest.mark.parametrize("model, version", [("missing", ""), ("identity_fp32", "7")])
def test_unknown_version_is_not_found(client, model, version):
    message = client.refusal("not found", lambda: client.infer(
        model, {"x": protocols.rows(1)}, model_version=version))
    assert model in message


def test_failed_model_is_unavailable(client):
    message = client.refusal("unavailable", lambda: client.infer(
        "broken", {"x": protocols.rows(1)}))
    assert "broken" in message


def test_large_request_is_over_the_budget(client):
    array = np.zeros((1, 2 << 20), dtype=np.float32)
    message = client.refusal("over memory", lambda: client.infer("tight", {"x": (array, "FP32")}))
    assert "tight" in message and "memory" in message


def test_paused_model_holds_its_queue(client):
    first = client.send("paused", {"x": protocols.rows(1)})
    # The queue has one place. Which of both gets it depends on their order of arrival.
    second = client.send("paused", {"x": protocols.rows(1)})
    column = client.column
    outcomes = []
    for wait in (first, second):
        with pytest.raises(protocols.InferenceServerException) as refusal:
            wait()
        outcomes.append(refusal.value.status())
    expected = [protocols.OUTCOMES[outcome][column] for outcome in ("queue full", "timed out")]
    assert sorted(outcomes) == sorted(expected)


def test_timeout_parameter_bounds_the_queue(client):
    wait = client.occupy("count", 3_000_000)
    assert wait().as_numpy("total").tolist() == [3_000_000]


def test_grpc_deadline_bounds_the_queue(grpc):
    long = grpc.occupy("count", 3_000_000)
    grpc.refusal("timed out", lambda: grpc.infer(
        "count", {"n": protocols.steps(1)}, client_timeout=0.05))
    assert long().as_numpy("total").tolist() == [3_000_000]


def test_bytes_that_are_not_text_are_refused(client):
    array = np.array([[b"\xff\xfe"]], dtype=np.object_)
    message = client.refusal("bad request", lambda: client.infer(
        "identity_bytes", {"x": (array, "BYTES")}))
    assert "x" in message


@pytest.mark.parametrize("call", [
    lambda raw: raw.load_model("add_sub"),
    lambda raw: raw.unload_model("add_sub"),
    lambda raw: raw.get_system_shared_memory_status(),
    lambda raw: raw.register_system_shared_memory("region", "/region", 16),
    lambda raw: raw.get_cuda_shared_memory_status(),
    lambda raw: raw.get_trace_settings(),
    lambda raw: raw.get_log_settings(),
], ids=["load", "unload", "status", "register", "cuda", "trace", "log"])
def test_unoffered_calls_are_not_implemented(client, call):
    assert client.refusal("not implemented", lambda: call(client.raw))


def test_paths_in_names_are_not_found(http, server):
    for path in ("/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/%00", "/../etc/passwd", "/v3"):
        assert server.status(path) in (400, 404), path


def test_drain_answers_what_it_admitted(client, tmp_path):
    models.count(tmp_path / "count.onnx")
    running = divvy.Divvy(tmp_path, divvy.write_layout(tmp_path, divvy.row("count")))
    try:
        running.wait_until_serving("count")
        assert running.status("/v2/health/ready") == 200
        with type(client)(running) as draining:
            answer = draining.occupy("count", 5_000_000)
            running.terminate()
            running.wait_for("not ready", lambda: running.status("/v2/health/ready") == 503)
            draining.refusal("unavailable", lambda: draining.infer(
                "count", {"n": protocols.steps(1)}))
            assert answer().as_numpy("total").tolist() == [5_000_000]
        assert running.end() == 0
    finally:
        running.end()
