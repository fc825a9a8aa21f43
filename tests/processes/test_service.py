"""A Python service with onnxruntime beside a model of divvy: both latencies before and after they are dragged
apart. Prints the figures; asserts only that nothing fails."""

import http.client
import json
import os
import subprocess
import threading
import time
from statistics import quantiles

import masks
import pytest
import run

pytestmark = pytest.mark.skipif(os.environ.get("DIVVY_SERVICES") != "1",
                                reason="scripts/processes --services runs it")

# onnxruntime with its defaults: a thread per CPU, which spins
APP = """
import litserve, numpy, onnxruntime

class Service(litserve.LitAPI):
    def setup(self, device):
        self.session = onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
        spec = self.session.get_inputs()[0]
        self.name, self.shape = spec.name, [size if isinstance(size, int) else 1 for size in spec.shape]

    def decode_request(self, request):
        return numpy.full(self.shape, request["value"], numpy.float32)

    def predict(self, tensor):
        return self.session.run(None, {{self.name: tensor}})[0]

    def encode_response(self, output):
        return {{"sum": float(output.sum())}}

if __name__ == "__main__":
    server = litserve.LitServer(Service(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port={port}, generate_client_file=False, log_level="warning")
"""
SECONDS = float(os.environ.get("DIVVY_SERVICE_SECONDS", "10"))


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/predict", json.dumps({"value": 0.5}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def load(port, seconds):
    """Two clients for some seconds; returns the latencies in ms and the failures."""
    latencies, failures, end = [], [], time.monotonic() + seconds

    def client():
        while time.monotonic() < end:
            start = time.monotonic()
            try:
                status, body = ask(port)
            except OSError as error:
                failures.append(str(error))
                continue
            if status != 200:
                failures.append(f"{status} {body[:100]}")
            latencies.append((time.monotonic() - start) * 1e3)

    clients = [threading.Thread(target=client) for _ in range(2)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return latencies, failures


def percentiles(latencies):
    cuts = quantiles(latencies, n=100)
    return cuts[49], cuts[98]


def is_up(port):
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


def test_dragged_apart(home, programs, start):
    cpus = sorted(masks.allowed())
    assert len(cpus) >= 2, "needs two CPUs"
    heavy, port = home / "heavy.onnx", run.free_port()
    made = subprocess.run([str(run.BINARY), "synth", "conv", "--size", "medium", "-o", str(heavy)],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    app = home / "service.py"
    app.write_text(APP.format(model=str(heavy), port=port))
    python = os.path.join(os.path.dirname(os.sys.executable), "python")
    service = programs.start(python, app, cwd=home, stderr=(home / "service.log").open("w"))
    run.wait_for("the service", lambda: is_up(port), lambda: (home / "service.log").read_text()[-2000:])
    layout = home / "beside.toml"
    ranker = run.Path(__file__).parents[2] / "assets/models/detector.onnx"
    layout.write_text(f"""version = 1
[[model]]
name = "model"
path = "{ranker}"
cores = "{cpus[0]}-{cpus[1]}"
threads = 1
load = {{ kind = "poisson", rate = 20.0 }}

[[process]]
name = "service"
match = {{ pid = {service.pid} }}
""")
    divvy = start(layout)
    divvy.wait_running("model", "service")
    figures = {}
    for phase, edits in [
        ("together", []),
        ("apart", [("service", f'cores="{cpus[1]}"'), ("model", f'cores="{cpus[0]}"', "reserve=true")]),
    ]:
        for edit in edits:
            divvy.do("set", *edit)
        wanted = {cpus[1]} if edits else set(cpus)
        run.wait_for("masks", lambda: all(mask <= wanted for mask in masks.tree_masks(service.pid)))
        time.sleep(1)
        before = divvy.row("model")["counts"]
        latencies, failures = load(port, SECONDS)
        row = divvy.row("model", "windows")
        assert not failures and latencies, failures[:3]
        assert row["counts"]["completed"] > before["completed"]
        assert row["counts"]["failed"] == 0, row["counts"]
        figures[phase] = (*percentiles(latencies), len(latencies) / SECONDS,
                          row["since_change"]["total"])
    for phase, (p50, p99, rate, total) in figures.items():
        print(f"{phase}: service p50 {p50:.1f} p99 {p99:.1f} ms, {rate:.1f}/s; "
              f"model p50 {total['p50_us'] / 1e3:.1f} p99 {total['p99_us'] / 1e3:.1f} ms")
    assert divvy.end() == 0, divvy.logged()
