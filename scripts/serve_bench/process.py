"""A server under test: its start and end, the CPU time and the memory of its processes."""

import glob
import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from .protocol import grpc_answer

TICK = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server under test: the command that starts it and the request that it answers."""

    def __init__(self, name, command, port, path, body, headers, decode, env=None):
        self.name, self.command, self.port, self.path = name, command, port, path
        self.body, self.headers, self.decode, self.env = body, headers, decode, env or {}

    def start(self, work):
        """Starts the server and returns its first good answer."""
        self.log = work / f"{self.name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | self.env, start_new_session=True)
        deadline, last = time.monotonic() + START_TIMEOUT_S, "no answer"
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                return self.request()
            except (OSError, http.client.HTTPException, KeyError, TypeError, ValueError) as error:
                last = error
            time.sleep(0.2)
        self.stop()
        tail = self.log.read_text(errors="replace")[-1500:]
        raise RuntimeError(f"{self.name} did not start: {last}\n{tail}")

    def request(self):
        """Returns the bytes of the first output for the request's body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", self.path, self.body, self.headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise ValueError(f"{answer.status} {content[:300]}")
            return self.decode(answer, content)
        finally:
            connection.close()

    def stop(self):
        """Ends the server and all its processes, also those that have left its group."""
        processes = self.processes()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
        for pid in processes[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def processes(self):
        """Returns the ids of the server's processes."""
        children = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                pid, rest = path.split("/")[2], Path(path).read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(rest[1]), []).append(int(pid))
        found = [self.process.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu(self):
        """Returns the CPU seconds of the server's processes so far."""
        ticks = 0
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def memory(self):
        """Returns the PSS of the server's processes in MB."""
        kilobytes = 0
        for pid in self.processes():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kilobytes * 1024 / 1e6


class GrpcServer(Server):
    """A server that is asked over gRPC. All answer as the protocol says, so `decode` is not used."""

    def request(self):
        """Returns the bytes of the first output for the request's body."""
        headers = [part for header in self.headers.items() for part in ("-H", ": ".join(header))]
        run = subprocess.run(
            ["curl", "-sS", "--max-time", "30", "--http2-prior-knowledge", *headers, "--data-binary", "@-",
             f"http://127.0.0.1:{self.port}{self.path}"], input=self.body, capture_output=True, check=False)
        if run.returncode != 0 or len(run.stdout) < 5:
            raise ValueError(f"no answer: {run.stderr[-300:]}")
        self.answer_bytes = len(run.stdout)
        return grpc_answer(run.stdout)
