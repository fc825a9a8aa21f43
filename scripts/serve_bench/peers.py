"""The peers: other servers of models from PyPI, each in a virtual environment of its own."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import apps
from .process import Server, free_port
from .protocol import http_answer
from .servers import ROOT

FOLDER = ROOT / "models" / ".peers"
INSTALL_TIMEOUT_S = 900

PACKAGES = {
    "litserve": ["litserve", "onnxruntime", "numpy"],
    # mlserver's workers need an event loop that newer versions of uvloop no longer make
    "mlserver": ["mlserver", "uvloop<0.22", "onnxruntime", "numpy"],
    "bentoml": ["bentoml", "onnxruntime", "numpy"],
    "ray": ["ray[serve]", "onnxruntime", "numpy"],
    "triton": ["nvidia-pytriton", "onnxruntime"],
}


@dataclass
class Case:
    """The model and the request of a run."""

    work: Path
    model: Path
    metadata: dict
    shape: list
    content: bytes
    body: bytes
    headers: dict

    def names(self):
        return {"model": str(self.model), "shape": self.shape, "input": self.metadata["inputs"][0]["name"]}


def environment(name, install):
    """Returns the virtual environment of a peer; None, with a message if it was wanted, without one."""
    if given := os.environ.get(name.upper()):
        return Path(given).parent.parent if Path(given).is_file() else Path(given)
    folder, marker = FOLDER / name, FOLDER / name / "installed.txt"
    wanted = "\n".join(PACKAGES[name])
    if marker.exists() and marker.read_text() == wanted:
        return folder
    if not install:
        return None
    pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    try:
        for command in ([sys.executable, "-m", "venv", "--clear", folder], [*pip, *PACKAGES[name]]):
            subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True, text=True)
    except (subprocess.SubprocessError, OSError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        print(f"{name} is skipped; its packages cannot be installed: {reason}", file=sys.stderr)
        return None
    marker.write_text(wanted)
    return folder


def find(case, wanted):
    """Returns the peers that can run, of those in `wanted` and those that are installed."""
    makers = {"litserve": litserve, "mlserver": mlserver, "bentoml": bentoml, "ray": ray, "triton": triton}
    servers = []
    for name, make in makers.items():
        if not wanted or name in wanted:
            folder = environment(name, name in wanted)
            if folder is not None:
                servers.append(make(case, folder))
    return servers


def encoded(case):
    return base64.b64encode(case.content).decode()


def litserve(case, folder):
    app, port = case.work / "litserve_app.py", free_port()
    app.write_text(apps.LITSERVE_APP.format(port=port, **case.names()))
    body = json.dumps({"data": encoded(case)}).encode()
    return Server("litserve", [folder / "bin/python", app], port, "/predict", body,
                  {"Content-Type": "application/json"},
                  lambda _answer, content: base64.b64decode(json.loads(content)["data"]))


def mlserver(case, folder):
    work, port = case.work / "mlserver", free_port()
    work.mkdir(exist_ok=True)
    (work / "model.py").write_text(apps.MLSERVER_MODEL.format(**case.names()))
    (work / "model-settings.json").write_text(json.dumps({"name": "m", "implementation": "model.Model"}))
    (work / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(),
        "parallel_workers": 2, "debug": False}))
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"content_type": "base64"},
              "data": [encoded(case)]}
    body = json.dumps({"inputs": [tensor]}).encode()
    return Server("mlserver", [folder / "bin/mlserver", "start", work], port, "/v2/models/m/infer", body,
                  {"Content-Type": "application/json"},
                  lambda _answer, content: base64.b64decode(json.loads(content)["outputs"][0]["data"][0]))


def bentoml(case, folder):
    work, port = case.work / "bentoml", free_port()
    work.mkdir(exist_ok=True)
    (work / "service.py").write_text(apps.BENTOML_SERVICE.format(port=port, **case.names()))
    body = json.dumps({"data": encoded(case)}).encode()
    command = [folder / "bin/bentoml", "serve", "service:Model", "--working-dir", work, "--port", port]
    return Server("bentoml", command, port, "/predict", body, {"Content-Type": "application/json"},
                  lambda _answer, content: base64.b64decode(content.strip(b'"')),
                  {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(work / "home")})


def ray(case, folder):
    app, port = case.work / "ray_app.py", free_port()
    app.write_text(apps.RAY_APP.format(port=port, **case.names()))
    return Server("ray", [folder / "bin/python", app], port, "/", case.content,
                  {"Content-Type": "application/octet-stream"}, lambda _answer, content: content,
                  {"RAY_USAGE_STATS_ENABLED": "0"})


def triton(case, environment):
    packages = next(environment.glob("lib/python3*/site-packages"))
    binaries, version = packages / "pytriton/tritonserver", packages.parent.name.removeprefix("python")
    work, metadata = case.work, case.metadata
    folder, port = work / "triton/m", free_port()
    (folder / "1").mkdir(parents=True, exist_ok=True)
    input, output = metadata["inputs"][0], metadata["outputs"][0]
    names = {"input": input["name"], "output": output["name"]}
    # Triton's stub ignores PYTHONPATH. With numpy 2 it returns empty tensors, so pytriton's numpy comes first.
    paths = [str(packages), *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    (folder / "1/model.py").write_text(apps.TRITON_MODEL.format(
        model=str(case.model), packages=paths, **names))
    (folder / "config.pbtxt").write_text(apps.TRITON_CONFIG.format(
        input_dims=", ".join(map(str, input["shape"])), output_dims=", ".join(map(str, output["shape"])),
        **names))
    backend = work / "triton-backends/python"
    backend.mkdir(parents=True, exist_ok=True)
    stub = binaries / f"python_backend_stubs/{version}/triton_python_backend_stub"
    for file in [stub, *(binaries / "backends/python").iterdir()]:
        if not (backend / file.name).exists():
            (backend / file.name).symlink_to(file)
    command = [binaries / "bin/tritonserver", f"--model-repository={folder.parent}",
               f"--backend-directory={backend.parent}", f"--http-port={port}",
               "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false"]
    return Server("triton", command, port, "/v2/models/m/infer", case.body, case.headers, http_answer,
                  {"LD_LIBRARY_PATH": ":".join([str(packages / "nvidia_pytriton.libs"),
                                               os.environ.get("LD_LIBRARY_PATH", "")])})
