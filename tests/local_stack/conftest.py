"""A second checkout for tests that start, break and end whole stacks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY

PORT_BASE = "17320"


class Checkout:
    """A copy of the working tree with a `.local` of its own; packages are shared with the original."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        files = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True).stdout.decode().split("\0")
        for name in filter(None, files):
            source = REPOSITORY / name
            if source.is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / name)
        for name in (".venv", "node_modules", "web/node_modules"):
            (folder / name).symlink_to(REPOSITORY / name)
        built = REPOSITORY / "web" / "dist"
        if built.is_dir():  # ./scripts/dev builds the board again when it was made of other sources
            shutil.copytree(built, folder / "web" / "dist")

    def start(self, *arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            # A shell that runs the tests in its background has them ignore Ctrl-C, and so whatever they start.
            ["env", "--default-signal=INT,HUP", *prefix, "./scripts/dev", *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def started(self, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        """A ./scripts/dev that has come to where it stays, and what it printed until then."""
        process = self.start(*arguments)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        return process, printed

    def run(self, *arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        process = self.start(*arguments, prefix=prefix, **environment)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")
