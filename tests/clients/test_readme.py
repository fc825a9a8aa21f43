"""README's `curl` lines work as they are written there."""

import os
import re
import subprocess
from pathlib import Path

import divvy
import pytest

ROOT = Path(__file__).resolve().parents[2]
PORT = re.compile(r"(127\.0\.0\.1|localhost):8000")


def commands():
    """The indented `curl` commands of README, each with its continuation lines."""
    found, inside = [], False
    for line in (ROOT / "README.md").read_text().splitlines():
        if not line.startswith("    "):
            inside = False
        elif inside or line.strip().startswith("curl "):
            if inside:
                found[-1] += "\n" + line.strip()
            else:
                found.append(line.strip())
            quotes = found[-1].count("'") % 2 == 1
            inside = quotes or found[-1].endswith("\\")
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    running = divvy.Divvy(tmp_path_factory.mktemp("demo"), "--demo")
    try:
        running.wait_until_serving("detector", "embedder", "ranker")
        yield running
    finally:
        running.end()


def test_readme_shows_curl():
    assert len(commands()) >= 2


@pytest.mark.parametrize("command", commands())
def test_curl_line_works(demo, tmp_path, command):
    # Port 8000 may be taken here; nothing else is changed.
    command = PORT.sub(demo.http, command).replace("curl ", "curl --fail-with-body ", 1)
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60,
                            env=os.environ | demo.runtime)
    assert result.returncode == 0, (command, result.stdout[-2000:], result.stderr[-2000:])
    assert result.stdout
