"""supabase-js against the target: each file in js/ is one test run by Node's own runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node_tests import run_node_tests

from .conftest import Target

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.usefixtures("deletes_are_told")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_javascript(file: Path, target: Target) -> None:
    environment = {
        "SUPABASE_URL": target.url,
        "SUPABASE_PUBLISHABLE_KEY": target.publishable_key,
        "SUPABASE_SECRET_KEY": target.secret_key,
        "DATABASE_URL": target.database_url,
    }
    run_node_tests(file, environment)
