"""Runs a suite of pytest against a built divvy, with its packages in a folder that git ignores."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Suite:
    """A suite: its tests, the file of its packages, and the folder into which they go."""

    def __init__(self, tests, packages, folder, required):
        self.tests = ROOT / "tests" / tests
        self.packages = self.tests / packages
        self.folder = ROOT / "models" / folder
        # the variable that makes missing packages a failure
        self.required = required

    def install(self):
        """Installs the packages; returns Python's path there, or None with a message."""
        python = self.folder / "bin" / "python"
        wanted = self.packages.read_text()
        marker = self.folder / "installed.txt"
        if marker.exists() and marker.read_text() == wanted:
            return python
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", self.folder], check=True)
            subprocess.run([*pip, "-r", self.packages], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"the packages of {self.packages} cannot be installed: {error}")
            return None
        marker.write_text(wanted)
        return python

    def run(self, arguments, environment):
        """Runs the tests that the arguments choose; returns the exit code."""
        arguments = list(arguments)
        divvy = binary(arguments)
        if not divvy.exists():
            print(f"{divvy} is missing; build it with `cargo build --release`")
            return 1
        python = self.install()
        if python is None:
            required = os.environ.get(self.required) == "1"
            print(f"failed: {self.required}=1" if required else f"skipped: {self.tests}")
            return int(required)
        environment = dict(os.environ, DIVVY=str(divvy.resolve()), PYTHONDONTWRITEBYTECODE="1",
                           **environment)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        if not any(Path(argument.split("::")[0]).exists() for argument in arguments):
            command.append(self.tests)
        return subprocess.run(command, env=environment, cwd=ROOT).returncode


def binary(arguments):
    """Takes `--divvy FILE` out of the arguments; the newest build without it."""
    if arguments[:1] == ["--divvy"] and len(arguments) > 1:
        path = Path(arguments[1])
        del arguments[:2]
        return path
    candidates = [ROOT / "target" / profile / "divvy" for profile in ("release", "debug")]
    return next((path for path in candidates if path.exists()), candidates[0])
