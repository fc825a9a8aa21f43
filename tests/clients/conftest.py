"""The server that most tests share, and a client per protocol."""

import resource

import divvy
import models
import protocols
import pytest

SERVED = [f"identity_{name.lower()}" for name in models.TYPES] + ["add_sub", "count", "tight"]


# The tests and divvy each hold a thousand connections.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most if 0 < most < 4096 else 4096, most))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("divvy")
    running = divvy.Divvy(folder, divvy.layout(folder))
    try:
        running.wait_until_serving(*SERVED)
        yield running
    finally:
        running.end()


@pytest.fixture(params=[protocols.Http, protocols.Grpc], ids=["http", "grpc"])
def client(request, server):
    """A synchronous client of each protocol."""
    with request.param(server) as made:
        yield made


@pytest.fixture
def http(server):
    with protocols.Http(server) as made:
        yield made


@pytest.fixture
def grpc(server):
    with protocols.Grpc(server) as made:
        yield made
