"""Runs divvy for the tests: a layout of small models, free ports, and a clean end."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import models

BINARY = os.environ.get("DIVVY", "target/debug/divvy")
PATIENCE = 60.0


def runtime_library():
    """The library of Python's onnxruntime, which runs every type."""
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent / "capi"
    return next(path for path in sorted(folder.glob("libonnxruntime.so*")) if path.is_file())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def row(name, file=None, **keys):
    lines = ["[[model]]", f'name = "{name}"', f'path = "{file or name}.onnx"', "cores = 1",
             "threads = 1", "concurrency = 1"]
    lines += [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(lines)


def write_layout(folder, *rows):
    path = folder / "clients.toml"
    path.write_text("version = 1\n\n" + "\n\n".join(rows) + "\n")
    return path


def layout(folder):
    """Writes the models and a layout of them: each type, and a row for each kind of refusal."""
    models.write_all(folder)
    rows = [row(f"identity_{name.lower()}") for name in models.TYPES]
    rows += [
        row("add_sub", queue="{ limit = 1000 }"),
        row("count", queue="{ limit = 1 }"),
        row("paused", "identity_fp32", paused="true", queue='{ limit = 1, timeout = "1s" }'),
        row("tight", "identity_fp32", memory='"1MiB"'),
        row("broken"),
    ]
    return write_layout(folder, *rows)


class Divvy:
    """A running divvy. `http` and `grpc` are its addresses."""

    def __init__(self, home, *arguments, port=None):
        self.http = f"127.0.0.1:{port or free_port()}"
        self.grpc = f"127.0.0.1:{free_port()}"
        self.log = Path(home) / "divvy.log"
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("XDG_")}
        # its control socket is in `divvy` there
        self.runtime = {"XDG_RUNTIME_DIR": str(home)}
        environment |= {"HOME": str(home), "ORT_DYLIB_PATH": str(runtime_library()), **self.runtime}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(Path(BINARY).resolve()), *map(str, arguments), "--headless", "--listen",
                 self.http, "--listen-grpc", self.grpc],
                env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_for(self, what, holds):
        """Waits until `holds()` is true; fails with divvy's log."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{what}: in vain\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def status(self, path):
        """The status of a GET; 0 if there is no connection."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_until_live(self):
        self.wait_for("live", lambda: self.status("/v2/health/live") == 200)

    def wait_until_serving(self, *names):
        for name in names:
            self.wait_for(f"{name} ready", lambda: self.status(f"/v2/models/{name}/ready") == 200)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        """Ends it; returns its exit status."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
