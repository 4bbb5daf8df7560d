"""supabase-js as a frontend uses it: each file in js/ is one test run by Node's own runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local_stack.settings import Stack
from tests.node_tests import run_node_tests

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_javascript(file: Path, stack: Stack) -> None:
    """S-156, S-157, S-158, S-160, S-256, S-258, S-259, S-260, S-261, S-274: the same day with supabase-js."""
    environment = {
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
    }
    run_node_tests(file, environment)
