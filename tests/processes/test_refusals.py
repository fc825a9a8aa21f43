"""Processes that divvy does not touch, and what it says."""

import os
import shutil
import subprocess

import masks
import run


def refuse(home, *arguments):
    """Runs divvy, which must end with exit code 2; returns its message."""
    environment = dict(os.environ, HOME=str(home), XDG_RUNTIME_DIR=str(home),
                       XDG_STATE_HOME=str(home / "state"))
    result = subprocess.run([str(run.BINARY), "--headless", "--for", "1s", *map(str, arguments)],
                            env=environment, cwd=home, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=run.PATIENCE)
    assert result.returncode == 2, result.stderr
    return result.stderr


def test_first_process(home):
    assert "pid 1" in refuse(home, "--pid", "1")


def test_ancestor(home):
    assert "ancestor" in refuse(home, "--pid", os.getpid())


def test_missing_process(home):
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert str(ended.pid) in refuse(home, "--pid", ended.pid)


def test_zombie(home):
    zombie = subprocess.Popen(["true"])
    run.wait_for("a zombie", lambda: ") Z " in run.Path(f"/proc/{zombie.pid}/stat").read_text())
    assert "zombie" in refuse(home, "--pid", zombie.pid) or "ended" in refuse(home, "--pid", zombie.pid)
    zombie.wait()


def test_more_matches_than_a_row_takes(home, programs, start):
    sleeper = home / f"sleeper-{run.free_port()}"
    shutil.copy(shutil.which("sleep"), sleeper)
    for _ in range(33):
        programs.start(sleeper, "60")
    divvy = start("--match", sleeper.name)
    row = divvy.wait_for_row(sleeper.name, lambda row: row["state"]["state"] == "failed")
    assert "33" in row["state"]["reason"] and "where" in row["state"]["reason"], row["state"]


def test_short_children_are_followed(home, programs, start):
    """A program that starts children all the time stays in its row, and so do they."""
    loop = programs.start("sh", "-c", "exec 3>/dev/null; while :; do /bin/true; done")
    divvy = start("--pid", loop.pid)
    name = divvy.snapshot()["models"][0]["row"]["budget"]["name"]
    divvy.wait_running(name)
    cpu = min(masks.allowed())
    divvy.do("set", name, f'cores="{cpu}"')
    run.wait_for("the mask", lambda: all(mask == {cpu} for mask in masks.tree_masks(loop.pid)))
    row = divvy.wait_for_row(name, lambda row: row["cpu_cores"] > 0)
    assert row["process"]["process_count"] >= 1
