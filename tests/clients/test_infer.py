"""Inference through tritonclient, over HTTP and over gRPC."""

import models
import numpy as np
import protocols
import pytest

FLOATS_OF_64_KIB = 16384


@pytest.mark.parametrize("datatype", models.TYPES)
def test_every_type_returns_unchanged(client, datatype):
    array = protocols.values(datatype)
    answer = client.infer(f"identity_{datatype.lower()}", {"x": (array, datatype)})
    returned = answer.as_numpy("y")
    assert returned.dtype == array.dtype and returned.shape == array.shape
    assert np.array_equal(returned, array)


def test_empty_tensor_returns_empty(client):
    array = np.zeros((0, 3), dtype=np.float32)
    answer = client.infer("identity_fp32", {"x": (array, "FP32")})
    assert answer.as_numpy("y").shape == (0, 3)


def test_all_outputs_by_default(client):
    answer = client.infer("add_sub", {"a": protocols.floats(5, 7), "b": protocols.floats(2, 3)})
    assert answer.as_numpy("sum").tolist() == [7, 10]
    assert answer.as_numpy("difference").tolist() == [3, 4]


def test_only_requested_outputs_return(client):
    inputs = {"a": protocols.floats(5), "b": protocols.floats(2)}
    answer = client.infer("add_sub", inputs, outputs=["difference"])
    assert answer.as_numpy("difference").tolist() == [3]
    assert answer.as_numpy("sum") is None


def test_request_id_returns(client):
    inputs = {"x": protocols.rows(1)}
    answer = client.infer("identity_fp32", inputs, request_id="r-17", model_version="1")
    answer = client.dictionary(answer.get_response())
    assert (answer["id"], answer["model_name"], answer["model_version"]) == (
        "r-17", "identity_fp32", "1")


def test_64_concurrent_requests_keep_apart(client):
    waits = [client.send("add_sub", {"a": protocols.floats(n), "b": protocols.floats(1)})
             for n in range(64)]
    assert [wait().as_numpy("sum").tolist() for wait in waits] == [[n + 1] for n in range(64)]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_http_compresses_both_ways(http, algorithm):
    array = np.zeros((1, FLOATS_OF_64_KIB), dtype=np.float32)
    array[0, 5] = 5
    answer = http.infer("identity_fp32", {"x": (array, "FP32")},
                        request_compression_algorithm=algorithm,
                        response_compression_algorithm=algorithm)
    assert np.array_equal(answer.as_numpy("y"), array)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_grpc_compresses_both_ways(grpc, algorithm):
    array = np.zeros((1, FLOATS_OF_64_KIB), dtype=np.float32)
    array[0, 5] = 5
    answer = grpc.infer("identity_fp32", {"x": (array, "FP32")}, compression_algorithm=algorithm)
    assert np.array_equal(answer.as_numpy("y"), array)


JSON_TYPES = [name for name in models.TYPES if name not in ("FP16", "BF16")]


def json_request(http, datatype, array, **binary):
    made = http.module.InferInput("x", list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=False)
    asked = http.module.InferRequestedOutput("y", binary_data=False)
    return http.raw.infer(f"identity_{datatype.lower()}", [made], outputs=[asked])


@pytest.mark.parametrize("datatype", JSON_TYPES)
def test_every_type_returns_unchanged_in_json(http, datatype):
    array = protocols.values(datatype)
    answer = json_request(http, datatype, array)
    returned = answer.as_numpy("y")
    if datatype == "BYTES":
        returned = np.array([text.encode() for text in returned.flat]).reshape(array.shape)
    assert "data" in answer.get_output("y")
    assert np.array_equal(returned, array)


def test_fp16_is_refused_in_json(http):
    message = http.refusal("bad request", lambda: json_request(
        http, "FP16", protocols.values("FP16")))
    assert "`x`" in message and "JSON" in message


def test_json_input_with_binary_output(http):
    made = http.module.InferInput("x", [1, 2], "FP32")
    made.set_data_from_numpy(np.array([[1.5, 2.5]], dtype=np.float32), binary_data=False)
    answer = http.raw.infer("identity_fp32", [made])
    assert "data" not in answer.get_output("y")
    assert answer.as_numpy("y").tolist() == [[1.5, 2.5]]


def test_grpc_stream_answers_in_order(grpc):
    import queue

    answers = queue.Queue()
    grpc.raw.start_stream(lambda result, error: answers.put((result, error)))
    for n in range(20):
        name = "missing" if n == 7 else "add_sub"
        inputs = [grpc.input("a", *protocols.floats(n)), grpc.input("b", *protocols.floats(1))]
        grpc.raw.async_stream_infer(name, inputs, request_id=str(n))
    for n in range(20):
        result, error = answers.get(timeout=60)
        if n == 7:
            assert "missing" in error.message()
        else:
            assert error is None and result.get_response().id == str(n)
            assert result.as_numpy("sum").tolist() == [n + 1]
    grpc.raw.stop_stream()
