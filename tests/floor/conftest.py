"""What tests of the floor share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scripts.local_stack.settings import Stack
from tests.floor.access_table import seeded_transaction


@pytest.fixture
def seeded(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A transaction with a row of everything for everybody; it sees nothing of what others do, and leaves nothing."""
    with seeded_transaction(stack.database_url("supabase_admin")) as connection:
        yield connection
