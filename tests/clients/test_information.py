"""Health, metadata, and config, as others' programs read them."""

import models
import protocols
import pytest


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


def test_repository_index_has_states(client):
    index = client.dictionary(client.raw.get_model_repository_index())
    entries = index["models"] if isinstance(index, dict) else index
    states = {entry["name"]: entry.get("state") for entry in entries}
    assert states["add_sub"] == "READY" and states["broken"] == "UNAVAILABLE"
