"""A temporary folder for divvy and the programs beside it."""

import pytest
import run


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def programs():
    """Starts programs of others; ends them after the test."""
    started = run.Programs()
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def start(home):
    """Starts divvy with arguments; ends it after the test."""
    runs = []

    def begin(*arguments):
        runs.append(run.Divvy(home, *arguments))
        return runs[-1]

    try:
        yield begin
    finally:
        for running in runs:
            running.kill()
