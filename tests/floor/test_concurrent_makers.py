"""Several makers of partitions at once: one makes each month, the others find it, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from scripts.local_stack.settings import Stack

MAKERS = 6


@pytest.fixture
def parent(stack: Stack) -> Iterator[str]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("drop table if exists private.planted_makers")
        connection.execute(
            "create table private.planted_makers (at timestamptz primary key) partition by range (at);"
            "alter table private.planted_makers enable row level security;"
            "create table private.planted_makers_default partition of private.planted_makers default;"
            "alter table private.planted_makers_default enable row level security;"
            "insert into private.planted_makers values (now()), (now() + interval '1 month');"
            "insert into ops.partition_policies (parent_schema, parent_table, control_column)"
            " values ('private', 'planted_makers', 'at') on conflict do nothing"
        )
        yield "private.planted_makers"
        connection.execute("delete from ops.partition_policies where parent_table = 'planted_makers'")
        connection.execute("drop table private.planted_makers")


def test_one_of_many_makers_makes_each_month(stack: Stack, parent: str) -> None:
    """S-109, S-110, D72: called at the same time by several connections."""
    start = threading.Barrier(MAKERS)

    def make(_: int) -> list[tuple[str, str, str | None]]:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            start.wait(timeout=10)
            made = connection.execute(
                "select month::text, state, message from ops.create_monthly_partitions() where parent = %s", (parent,)
            )
            return [(row[0], row[1], row[2]) for row in made.fetchall()]

    with ThreadPoolExecutor(MAKERS) as pool:
        answers = [row for rows in pool.map(make, range(MAKERS)) for row in rows]

    assert [message for _, _, message in answers if message] == []
    states = Counter((month, state) for month, state, _ in answers)
    months = {month for month, _ in states}
    assert len(months) == 4
    assert states == Counter(
        {key: n for month in months for key, n in (((month, "created"), 1), ((month, "present"), MAKERS - 1))}
    )
    with psycopg.connect(stack.database_url()) as connection:
        rows = connection.execute(
            "select (select count(*) from private.planted_makers),"
            " (select count(*) from only private.planted_makers_default)"
        ).fetchone()
    assert rows == (2, 0)
