"""What tests of the floor share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scripts.local_stack.settings import Stack
from tests.floor import access_fixtures
from tests.floor.access_table import ATTEMPT


@pytest.fixture
def seeded(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A transaction with a row of everything for everybody; it sees nothing of what others do, and leaves nothing."""
    with psycopg.connect(stack.database_url("supabase_admin")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("set local lock_timeout = '5s'")
        connection.execute("set local search_path = pg_catalog")
        connection.execute(ATTEMPT)
        access_fixtures.seed(connection)
        yield connection
        connection.rollback()
