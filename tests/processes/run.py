"""Runs divvy beside programs of others."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = Path(os.environ.get("DIVVY", "target/debug/divvy")).resolve()
PATIENCE = 60.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, holds, explain=lambda: ""):
    """Waits until `holds()` is true and returns its value."""
    end = time.monotonic() + PATIENCE
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: in vain\n{explain()}")
        time.sleep(0.05)


class Programs:
    """Programs of others."""

    def __init__(self):
        self.started = []

    def start(self, *command, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                   "stderr": subprocess.DEVNULL, "start_new_session": True} | options
        program = subprocess.Popen([str(part) for part in command], **options)
        self.started.append(program)
        return program

    def end(self):
        for program in self.started:
            try:
                os.killpg(program.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            program.wait(PATIENCE)


class Divvy:
    """A headless divvy, asked through its control socket."""

    def __init__(self, home, *arguments):
        self.home, self.log = Path(home), Path(home) / "divvy.log"
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("XDG_")}
        self.environment |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home),
                             "XDG_STATE_HOME": str(self.home / "state")}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "--headless", "--interval", "1h", "--engine", "rten",
                 *map(str, arguments)],
                env=self.environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("divvy answers", self.answers, self.logged)

    def logged(self):
        return self.log.read_text()[-4000:]

    def answers(self):
        assert self.process.poll() is None, self.logged()
        return self.call("ls", "--json").returncode == 0 and self.snapshot().get("models")

    def call(self, *arguments):
        """Runs a subcommand beside the run."""
        return subprocess.run([str(BINARY), *map(str, arguments)], env=self.environment,
                              cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE)

    def do(self, *arguments):
        """Runs a subcommand that must succeed; returns its output."""
        result = self.call(*arguments)
        assert result.returncode == 0, f"{arguments}: {result.stderr}\n{self.logged()}"
        return result.stdout

    def snapshot(self, include=""):
        """The newest snapshot, with the parts that `include` names; empty if there is none yet."""
        sockets = list((self.home / "divvy").glob("*.sock"))
        if not sockets:
            return {}
        url = f"http://divvy/v1/snapshot?include={include}"
        result = subprocess.run(["curl", "-sf", "--unix-socket", sockets[0], url],
                                capture_output=True, timeout=PATIENCE)
        return json.loads(result.stdout) if result.returncode == 0 else {}

    def row(self, name, include=""):
        rows = self.snapshot(include).get("models", [])
        return next((row for row in rows if row["row"]["budget"]["name"] == name), None)

    def wait_for_row(self, name, holds):
        """Waits until a row meets a condition; returns the row."""
        def check():
            row = self.row(name)
            return row if row and holds(row) else None
        return wait_for(f"row {name}", check, self.logged)

    def wait_running(self, *names):
        for name in names:
            self.wait_for_row(name, lambda row: row["state"]["state"] == "running")

    def end(self):
        """Ends it as an operator does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self):
        """Ends it at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
