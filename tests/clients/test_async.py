"""tritonclient's asyncio clients, over HTTP and over gRPC."""

import asyncio

import numpy as np
import protocols
import pytest
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException


@pytest.fixture(params=["http", "grpc"])
def connect(request, server):
    """Returns a function that makes a client, to be called in the loop."""
    if request.param == "http":
        return lambda: tritonclient.http.aio.InferenceServerClient(server.http, conn_limit=64)
    return lambda: tritonclient.grpc.aio.InferenceServerClient(server.grpc)


def module(client):
    return tritonclient.http if "http" in type(client).__module__ else tritonclient.grpc


async def add(client, number, model="add_sub"):
    inputs = []
    for name, value in (("a", number), ("b", 1)):
        made = module(client).InferInput(name, [1], "FP32")
        made.set_data_from_numpy(np.array([value], dtype=np.float32))
        inputs.append(made)
    return (await client.infer(model, inputs)).as_numpy("sum").tolist()


def run(connect, body):
    async def whole():
        client = connect()
        try:
            return await body(client)
        finally:
            await client.close()

    return asyncio.run(asyncio.wait_for(whole(), 60))


def test_64_tasks_keep_their_answers_apart(connect):
    async def body(client):
        return await asyncio.gather(*(add(client, n) for n in range(64)))

    assert run(connect, body) == [[n + 1] for n in range(64)]


def test_health_is_ready(connect):
    async def body(client):
        return [await client.is_server_live(), await client.is_model_ready("add_sub"),
                await client.is_model_ready("missing")]

    assert run(connect, body) == [True, True, False]


def test_metadata_names_inputs(connect):
    async def body(client):
        return await client.get_model_metadata("add_sub")

    metadata = run(connect, body)
    inputs = metadata["inputs"] if isinstance(metadata, dict) else metadata.inputs
    names = [it["name"] if isinstance(it, dict) else it.name for it in inputs]
    assert names == ["a", "b"]


def test_missing_model_is_not_found(connect):
    async def body(client):
        with pytest.raises(InferenceServerException) as refusal:
            await add(client, 1, model="missing")
        return refusal.value.status()

    assert run(connect, body) in protocols.OUTCOMES["not found"]


def test_cancelled_task_costs_no_instance(connect):
    async def body(client):
        made = module(client).InferInput("n", [1], "INT64")
        made.set_data_from_numpy(np.array([200_000], dtype=np.int64))
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.infer("count", [made]), 0.01)
        # The queue holds one request: it is free again only once the cancelled ones have left it.
        short = module(client).InferInput("n", [1], "INT64")
        short.set_data_from_numpy(np.array([3], dtype=np.int64))
        while True:
            try:
                return (await client.infer("count", [short])).as_numpy("total").tolist()
            except InferenceServerException as error:
                assert error.status() in protocols.OUTCOMES["queue full"], error

    assert run(connect, body) == [3]
