"""Runs a file of JavaScript tests with Node's own runner, for the suites that drive supabase-js."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY

SECONDS = 180


def run_node_tests(file: Path, settings: Mapping[str, str]) -> None:
    """Fail with what Node says unless every test of the file passes and there is at least one."""
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(file)],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"node --test {file.name} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
    assert "pass 0" not in done.stdout, "the file holds no test"
