"""Rounds over servers, and the tables of what they measured."""

import statistics
import sys

from .load import load
from .protocol import floats
from .servers import CORES


def measure(servers, work, args, cells, expected=None):
    """Measures the servers in turn for one round; adds to the cells {(server, connections): [cell]}.

    The first server besides echo says what the others must return, unless `expected` does. A peer that fails is
    left out of the further rounds."""
    for server in list(servers):
        try:
            expected = measure_one(server, work, args, cells, expected)
        except RuntimeError as error:
            if server.name in ("divvy", "echo"):
                raise
            print(f"{server.name} is skipped: {error}", file=sys.stderr)
            servers.remove(server)


def measure_one(server, work, args, cells, expected):
    """Measures a server; returns what the servers must return."""
    output = server.start(work)
    try:
        if server.name != "echo":
            expected = expected or output
            check_output(server.name, output, expected)
        load(server, work, CORES, 1)
        for connections in args.connections:
            cell = load(server, work, connections, args.time)
            cells.setdefault((server.name, connections), []).append(cell)
        return expected
    finally:
        server.stop()


def check_output(name, output, expected):
    pairs = zip(floats(output), floats(expected), strict=True)
    if any(not abs(a - b) <= 1e-3 * max(1, abs(b)) for a, b in pairs):
        raise RuntimeError(f"{name} returned another output than expected")


def median(cells):
    return {key: statistics.median(cell[key] for cell in cells) for key in cells[0]}


def print_table(title, cells, names, connections, bound):
    """Prints one line per server and number of connections, with its share of the bound's rate."""
    print(f"\n{title}\n{'':10}{'c':>4}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU %':>8}{'us/req':>8}{'PSS MB':>8}"
          f"  of {bound}")
    for name in names:
        for count in connections:
            if (name, count) not in cells:
                continue
            cell, whole = median(cells[name, count]), cells.get((bound, count))
            texts = [f"{cell[key]:.{digits}f}" if key in cell else "" for key, digits in
                     [("rate", 0), ("p50", 3), ("p99", 3), ("cpu", 0), ("cpu_us", 0), ("memory", 0)]]
            share = f"{cell['rate'] / median(whole)['rate']:.1%}" if whole else ""
            print(f"{name:10}{count:>4}{texts[0]:>10}{texts[1]:>10}{texts[2]:>10}{texts[3]:>8}{texts[4]:>8}"
                  f"{texts[5]:>8}  {share}")
    sys.stdout.flush()
