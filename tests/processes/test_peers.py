"""Programs of others lose nothing while their cores change, and get their masks back."""

import os
import re
import shutil
import subprocess

import masks
import pytest
import run

ALL = sorted(masks.allowed())
CHANGES = int(os.environ.get("DIVVY_PROCESS_CHANGES", "12"))

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="one CPU only")


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if not found:
        if os.environ.get("DIVVY_REQUIRE_PROGRAMS") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def copied(name, home):
    """Copies a program under a name that no other process has: divvy must take in no program of this machine."""
    copy = home / f"{name}-{run.free_port()}"
    shutil.copy(program(name), copy)
    return copy


class Redis:
    """redis-server under redis-benchmark."""

    name = "redis-server"

    def __init__(self, home, programs, binary=None):
        port = run.free_port()
        self.binary = binary or copied(self.name, home)
        self.server = programs.start(self.binary, "--port", port, "--save", "", "--dir", home,
                                     "--bind", "127.0.0.1")
        client = [program("redis-cli"), "-p", str(port), "ping"]
        run.wait_for("redis", lambda: subprocess.run(client, capture_output=True).stdout == b"PONG\n")
        self.command = [program("redis-benchmark"), "-p", str(port), "-q", "-t", "set,get", "-c", "20",
                        "-n", "300000"]

    def judge(self, code, output):
        assert code == 0 and "ERR" not in output and "Error" not in output, output[-2000:]
        assert output.count("requests per second") == 2, output[-2000:]


class Nginx:
    """nginx under wrk."""

    name = "nginx"

    def __init__(self, home, programs):
        self.binary = copied(self.name, home)
        port, folder = run.free_port(), home / "nginx"
        folder.mkdir()
        (folder / "page").write_text("x" * 4096)
        (folder / "nginx.conf").write_text(f"""
            daemon off; master_process on; worker_processes 2; pid {folder}/pid; error_log {folder}/error;
            user root;
            events {{ worker_connections 256; }}
            http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
                    fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
                    server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
        """)
        self.server = programs.start(self.binary, "-p", folder, "-c", folder / "nginx.conf",
                                     "-e", folder / "error")
        url = f"http://127.0.0.1:{port}/page"
        run.wait_for("nginx", lambda: subprocess.run(["curl", "-sf", url], capture_output=True).returncode == 0)
        self.command = [program("wrk"), "-t", "1", "-c", "16", "-d", "6s", url]

    def judge(self, code, output):
        assert code == 0 and "Socket errors" not in output and "Non-2xx" not in output, output
        assert int(re.search(r"(\d+) requests in", output).group(1)) > 0, output


class StressNg:
    """stress-ng, which forks workers and checks its own results."""

    name = "stress-ng"

    def __init__(self, home, programs):
        self.binary = copied(self.name, home)
        self.server = None
        self.command = [self.binary, "--cpu", "2", "--fork", "1", "--vm", "1", "--vm-bytes", "32M",
                        "--verify", "--timeout", "8s", "--temp-path", str(home)]

    def judge(self, code, output):
        assert code == 0 and "fail" not in output.replace("failed: 0", ""), output


@pytest.mark.parametrize("peer", [Redis, Nginx, StressNg], ids=lambda peer: peer.name)
def test_cores_change_under_load(peer, home, programs, start):
    running = peer(home, programs)
    before = masks.tree_masks(running.server.pid) if running.server else []
    name = running.binary.name
    divvy = start("--match", name, run.Path(__file__).parents[2] / "assets/models/ranker.onnx")
    load = programs.start(*running.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    root = running.server.pid if running.server else load.pid
    divvy.wait_running(name)
    lists = [str(ALL[0]), str(ALL[1]), f"{ALL[0]},{ALL[1]}"]
    for at in range(CHANGES):
        wanted = masks.cpus(lists[at % 3])
        divvy.do("set", name, f'cores="{lists[at % 3]}"')
        run.wait_for(
            f"masks {wanted}",
            lambda: load.poll() is not None or all(mask <= wanted for mask in masks.tree_masks(root)),
            lambda: f"{masks.tree_masks(root)}\n{divvy.logged()}")
    output = load.communicate(timeout=run.PATIENCE)[0]
    running.judge(load.returncode, output)
    assert divvy.end() == 0, divvy.logged()
    if running.server:
        assert masks.tree_masks(root) == before
        assert running.server.poll() is None


def test_masks_return_after_kill(home, programs, start):
    redis = Redis(home, programs)
    name = redis.binary.name
    before = masks.tree_masks(redis.server.pid)
    divvy = start("--match", name)
    divvy.wait_running(name)
    divvy.do("set", name, f'cores="{ALL[0]}"')
    run.wait_for("the mask", lambda: masks.allowed(redis.server.pid) == {ALL[0]})
    divvy.kill()
    assert masks.allowed(redis.server.pid) == {ALL[0]}, "kill -9 leaves no time to restore"
    assert name in divvy.do("restore")
    assert masks.tree_masks(redis.server.pid) == before


def test_row_waits_for_its_process(home, programs, start):
    binary = copied("redis-server", home)
    name = binary.name
    divvy = start("--match", name)
    divvy.wait_for_row(name, lambda row: row["state"]["state"] == "absent")
    divvy.do("set", name, f'cores="{ALL[1]}"')
    redis = Redis(home, programs, binary)
    divvy.wait_running(name)
    run.wait_for("the mask", lambda: masks.allowed(redis.server.pid) == {ALL[1]})


def test_reserved_core_is_left(home, programs, start):
    """A model that reserves a core pushes a process without a budget off it."""
    redis = Redis(home, programs)
    name = redis.binary.name
    ranker = run.Path(__file__).parents[2] / "assets/models/ranker.onnx"
    divvy = start("--match", name, ranker)
    divvy.wait_running(name)
    divvy.do("set", "ranker", f'cores="{ALL[0]}"', "reserve=true")
    run.wait_for("the mask", lambda: ALL[0] not in masks.allowed(redis.server.pid))
    divvy.do("undo")
    run.wait_for("the mask back", lambda: masks.allowed(redis.server.pid) == set(ALL))
