"""Load on a server: wrk over HTTP, h2load over gRPC, and loops over the model without a server."""

import json
import resource
import subprocess
import sys

from .process import GrpcServer
from .servers import CORES, TARGET

WRK_SCRIPT = """
local file = assert(io.open("{body}", "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
{headers}
function done(summary, latency, requests)
    local errors = summary.errors
    io.stderr:write(string.format(
        '{{"requests": %d, "us": %d, "p50": %.1f, "p99": %.1f, "refused": %d, "broken": %d}}',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def load(server, work, connections, seconds):
    """Asks the server for some seconds and returns what was measured."""
    body = work / "body"
    body.write_bytes(server.body)
    client, cpu = client_cpu(), server.cpu()
    ask = h2load if isinstance(server, GrpcServer) else wrk
    result = ask(server, work, connections, seconds)
    cpu, client = server.cpu() - cpu, client_cpu() - client
    good, elapsed = result["requests"] - result["refused"], result["us"] / 1e6
    if result["refused"] or result["broken"]:
        print(f"{server.name}, c = {connections}: {result['refused']} requests refused, "
              f"{result['broken']} connections broken", file=sys.stderr)
    return {
        "rate": good / elapsed,
        "p50": result["p50"] / 1e3,
        "p99": result["p99"] / 1e3,
        "cpu": 100 * cpu / elapsed,
        "cpu_us": 1e6 * (cpu + client) / max(result["requests"], 1),
        "memory": server.memory(),
    }


def wrk(server, work, connections, seconds):
    script = work / "wrk.lua"
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in server.headers.items())
    script.write_text(WRK_SCRIPT.format(body=work / "body", headers=headers))
    run = subprocess.run(
        ["wrk", "-t", str(min(connections, CORES)), "-c", str(connections), "-d", f"{seconds}s",
         "--timeout", "30s", "-s", script, f"http://127.0.0.1:{server.port}{server.path}"],
        capture_output=True, text=True, check=False)
    if run.returncode != 0 or not run.stderr.startswith("{"):
        raise RuntimeError(f"wrk failed on {server.name}: {run.stdout}{run.stderr}")
    return json.loads(run.stderr)


def h2load(server, work, connections, seconds):
    """Every answer of a right call has as many bytes as the first one, which was checked."""
    log = work / "h2load.log"
    log.unlink(missing_ok=True)
    headers = [part for header in server.headers.items() for part in ("-H", ": ".join(header))]
    run = subprocess.run(
        ["h2load", "-t", str(min(connections, CORES)), "-c", str(connections), "-m", "1", "-D", f"{seconds}s",
         "-d", work / "body", f"--log-file={log}", *headers, f"http://127.0.0.1:{server.port}{server.path}"],
        capture_output=True, text=True, check=False)
    traffic = [line for line in run.stdout.splitlines() if line.startswith("traffic:")]
    if run.returncode != 0 or not traffic:
        raise RuntimeError(f"h2load failed on {server.name}: {run.stdout[-500:]}{run.stderr[-500:]}")
    latencies, refused, broken = [], 0, 0
    for line in log.read_text().splitlines():
        _, status, latency = line.split("\t")[:3]
        latencies.append(int(latency))
        refused += status not in ("200", "-1")
        broken += status == "-1"
    data = int(traffic[0].rsplit("(", 1)[1].split(")")[0])
    if data < (len(latencies) - broken) * server.answer_bytes:
        refused = len(latencies)
    latencies.sort()
    return {"requests": len(latencies) - broken, "us": seconds * 1e6, "refused": refused, "broken": broken,
            "p50": latencies[len(latencies) // 2], "p99": latencies[len(latencies) * 99 // 100]}


def client_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def direct(model, shape, loops, seconds):
    """Runs loops over sessions without a server."""
    run = subprocess.run([TARGET / "examples/direct", model, shape, str(loops), str(seconds)],
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"direct failed: {run.stderr}")
    result = json.loads(run.stdout)
    rate, cpu_s = result["requests_per_s"], result["cpu_s_per_request"]
    return {"rate": rate, "p50": result["p50_s"] * 1e3, "p99": result["p99_s"] * 1e3,
            "cpu": 100 * rate * cpu_s, "cpu_us": 1e6 * cpu_s}
