"""supabase-js as a frontend uses it: each file in js/ is one test run by Node's own runner."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY, Stack

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
SECONDS = 120


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_javascript(file: Path, stack: Stack) -> None:
    """S-156, S-157, S-158, S-160, S-256, S-258, S-259, S-260, S-261, S-274: the same day with supabase-js."""
    environment = {
        **os.environ,
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
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
