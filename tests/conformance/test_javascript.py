"""supabase-js against the target: each file in js/ is one test run by Node's own runner."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY

from .conftest import Target

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
SECONDS = 180


@pytest.mark.usefixtures("deletes_are_told")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_javascript(file: Path, target: Target) -> None:
    environment = {
        **os.environ,
        "SUPABASE_URL": target.url,
        "SUPABASE_PUBLISHABLE_KEY": target.publishable_key,
        "SUPABASE_SECRET_KEY": target.secret_key,
        "DATABASE_URL": target.database_url,
    }
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(file)],
        cwd=REPOSITORY,
        env=environment,
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
