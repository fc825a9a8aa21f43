"""Health, metadata, config, statistics and metrics, as others' programs read them."""

import urllib.request

import grpc as grpcio
import models
import protocols
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.openmetrics.parser import text_string_to_metric_families


def test_serving_models_are_ready(client):
    assert client.raw.is_server_live()
    assert client.raw.is_model_ready("add_sub")
    assert client.raw.is_model_ready("add_sub", "1")
    for name in ("missing", "paused", "broken"):
        assert not client.raw.is_model_ready(name), name


def test_failed_row_makes_the_server_not_ready(client):
    assert not client.raw.is_server_ready()


def test_metadata_has_no_unoffered_extension(client):
    metadata = client.dictionary(client.raw.get_server_metadata())
    assert metadata["name"] == "divvy" and metadata["version"]
    refused = {"model_repository(unload_dependents)", "trace", "logging", "system_shared_memory",
               "cuda_shared_memory", "sequence"}
    assert not refused & set(metadata.get("extensions", []))


@pytest.mark.parametrize("datatype", models.TYPES)
def test_model_metadata_has_each_type(client, datatype):
    name = f"identity_{datatype.lower()}"
    metadata = client.dictionary(client.raw.get_model_metadata(name))
    assert metadata["name"] == name and metadata["versions"] == ["1"]
    for side, tensor in (("inputs", "x"), ("outputs", "y")):
        (only,) = metadata[side]
        assert (only["name"], only["datatype"]) == (tensor, datatype)
        assert [int(size) for size in only["shape"]] == [-1, -1]


def test_model_config_has_types_and_sizes(client):
    config = client.dictionary(client.raw.get_model_config("add_sub"))
    config = config.get("config", config)
    assert config["name"] == "add_sub"
    assert [(it["name"], it["data_type"]) for it in config["input"]] == [
        ("a", "TYPE_FP32"), ("b", "TYPE_FP32")]
    assert [[int(size) for size in it["dims"]] for it in config["output"]] == [[-1], [-1]]


def test_statistics_count_each_request_once(client):
    def counts():
        statistics = client.dictionary(client.raw.get_inference_statistics("add_sub"))
        (model,) = statistics["model_stats"]
        assert model["name"] == "add_sub"
        success = model["inference_stats"]["success"]
        return int(model.get("inference_count", 0)), int(success.get("count", 0)), int(
            success.get("ns", 0))

    before = counts()
    for _ in range(5):
        client.infer("add_sub", {"a": protocols.floats(1), "b": protocols.floats(1)})
    after = counts()
    assert (after[0] - before[0], after[1] - before[1]) == (5, 5)
    assert after[2] > before[2]


def test_statistics_list_every_model(client):
    statistics = client.dictionary(client.raw.get_inference_statistics())
    names = {model["name"] for model in statistics["model_stats"]}
    assert {f"identity_{name.lower()}" for name in models.TYPES} <= names


def test_repository_index_has_states(client):
    index = client.dictionary(client.raw.get_model_repository_index())
    entries = index["models"] if isinstance(index, dict) else index
    states = {entry["name"]: entry.get("state") for entry in entries}
    assert states["add_sub"] == "READY" and states["broken"] == "UNAVAILABLE"


def test_grpc_health_follows_readiness(server):
    with grpcio.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        ask = lambda name: health.Check(
            health_pb2.HealthCheckRequest(service=name), timeout=30).status
        # The layout has a row that failed, so the whole server is not ready.
        assert ask("") == health_pb2.HealthCheckResponse.NOT_SERVING
        assert ask("inference.GRPCInferenceService") == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpcio.RpcError) as refusal:
            ask("no.such.Service")
        assert refusal.value.code() == grpcio.StatusCode.NOT_FOUND


def scrape(server):
    request = urllib.request.Request(f"http://{server.http}/metrics")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return answer.read().decode()


def test_metrics_are_openmetrics(server):
    families = {family.name: family for family in text_string_to_metric_families(scrape(server))}
    assert len(families) > 10 and all(name.startswith("divvy_") for name in families)
    assert all(family.documentation for family in families.values())


def test_metrics_count_requests(server, http):
    def answered():
        total = 0
        for family in text_string_to_metric_families(scrape(server)):
            for sample in family.samples:
                if sample.name == "divvy_requests_total" and sample.labels["model"] == "add_sub":
                    total += sample.value
        return total

    before = answered()
    for _ in range(5):
        http.infer("add_sub", {"a": protocols.floats(1), "b": protocols.floats(1)})
    assert answered() - before == 5
