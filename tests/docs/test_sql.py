"""Every block of SQL runs as it stands, as postgres unless it says otherwise itself, and leaves nothing behind."""

from __future__ import annotations

import psycopg
import pytest

from .blocks import Block, before, blocks
from .shown import not_like, shown_after
from .world import World

SQL = blocks("sql")


def table(cursor: psycopg.Cursor[tuple[object, ...]]) -> str:
    """The last result, as psql has it without lines: names, then rows."""
    if cursor.description is None:
        return ""
    rows = [tuple(column.name for column in cursor.description), *cursor.fetchall()]
    return "\n".join(" | ".join(map(str, row)) for row in rows)


@pytest.mark.parametrize("block", SQL, ids=str)
def test_the_sql_of_the_page(block: Block, world: World) -> None:
    with psycopg.connect(world.stack.database_url()) as connection:
        cursor = connection.execute(world.filled_in(block.text))
        while cursor.nextset():
            pass
        printed = table(cursor)
        connection.rollback()
    problems = [
        problem
        for shown in shown_after(block.page, "sql")
        if before(shown) == block
        for problem in not_like(shown, printed)
    ]
    assert not problems, "\n".join(problems)
