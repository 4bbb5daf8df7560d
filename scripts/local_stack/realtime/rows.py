"""What is asked of Postgres about changed rows: their JSON, the filters they meet, and who may see them."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from .change import Change, Rendered, Values
from .database import Connection, become, identifier
from .filters import Condition
from .relation import Column, Relation

LONGEST_WAIT = 10.0  # seconds for a decoded transaction to become visible
VISIBLE = """
    select pg_visible_in_snapshot(
        -- The stream knows 32 bits of the id: take the full id that is nearest to the next one.
        (upcoming + ((%s - upcoming) %% 4294967296 + 6442450944) %% 4294967296 - 2147483648)::text::xid8,
        snapshot
    )
    from (
        select snapshot, pg_snapshot_xmax(snapshot)::text::bigint as upcoming
        from (select pg_current_snapshot() as snapshot) as now
    ) as known
"""


async def wait_until_visible(connection: Connection, xid: int) -> None:
    """Decoding tells of a commit before other connections see it; asking a policy then would find no row."""
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        found = await (await connection.execute(VISIBLE, (xid,))).fetchone()
        if found is not None and found[0]:
            return
        if time.monotonic() > deadline:
            print(f"realtime: transaction {xid} was committed and is still not visible", file=sys.stderr)
            return
        await asyncio.sleep(0.0005)


async def render(connection: Connection, relation: Relation, changes: Sequence[Change]) -> list[Rendered | None]:
    """Every change with its values as JSON text; none for one whose values no longer fit the table."""
    rows = [row for change in changes for row in (change.columns, change.identity)]
    query = sql.SQL("select {} from unnest({}) with ordinality as r({}, position) order by position").format(
        sql.SQL(", ").join(column.rendered for column in relation.columns),
        arrays(relation.columns),
        sql.SQL(", ").join(column.text for column in relation.columns),
    )
    try:
        found = await (await connection.execute(query, parameters(relation.columns, rows))).fetchall()
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        if len(changes) > 1:
            return [one for change in changes for one in await render(connection, relation, [change])]
        print(f"realtime: a change of {relation.schema}.{relation.table} fits no more: {error}", file=sys.stderr)
        return [None]
    named = [
        {
            column.name: "null" if text is None else str(text)
            for column, text in zip(relation.columns, texts, strict=True)
            if column.name in row
        }
        for row, texts in zip(rows, found, strict=True)
    ]
    return [Rendered(record, old) for record, old in zip(named[::2], named[1::2], strict=True)]


async def match_filters(
    connection: Connection, relation: Relation, changes: list[Change], conditions: Iterable[Condition]
) -> dict[Condition, set[int]]:
    """For every condition the positions of the changes that meet it."""
    matched: dict[Condition, set[int]] = {condition: set() for condition in conditions}
    ordered = sorted(matched, key=lambda each: each.kind)
    for alike in (list(found) for _, found in itertools.groupby(ordered, key=lambda each: each.kind)):
        column = relation.by_name.get(alike[0].column)
        if column is None:
            continue
        positions = [position for position, change in enumerate(changes) if column.name in change.filtered]
        await match_alike(connection, column, changes, positions, alike, matched)
    return matched


async def match_alike(
    connection: Connection,
    column: Column,
    changes: list[Change],
    positions: list[int],
    alike: list[Condition],
    matched: dict[Condition, set[int]],
) -> None:
    """Evaluate conditions that differ by value only; one that fails matches nothing and harms no other."""
    query = sql.SQL(
        "select r.position - 1, f.position - 1 from unnest(%s::text[]) with ordinality as r(x, position)"
        " cross join unnest(%s::text[]) with ordinality as f(x, position) where {}"
    ).format(alike[0].expression(sql.SQL("r.x"), cast=column.cast))
    texts = [changes[position].filtered[column.name] for position in positions]
    try:
        found = await (await connection.execute(query, (texts, [each.value for each in alike]))).fetchall()
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        if len(alike) > 1:
            for condition in alike:
                await match_alike(connection, column, changes, positions, [condition], matched)
        return
    for row, condition in found:
        matched[alike[condition]].add(positions[row])


async def visible_rows(
    connection: Connection, relation: Relation, changes: list[Change], positions: list[int], *, group: tuple[str, str]
) -> set[int]:
    """The positions whose rows the group sees; a policy that raises hides them from this group alone."""
    role, claims = group
    query = sql.SQL(
        "select r.position - 1 from unnest({}) with ordinality as r({}, position)"
        " where exists (select from {} as t where {})"
    ).format(
        arrays(relation.key),
        sql.SQL(", ").join(column.text for column in relation.key),
        relation.qualified,
        sql.SQL(" and ").join(
            sql.SQL("t.{} = r.{}").format(identifier(column.name), column.value) for column in relation.key
        ),
    )
    rows = [changes[position].columns for position in positions]
    try:
        async with connection.transaction():
            await become(connection, role=role, claims=claims)
            found = await (await connection.execute(query, parameters(relation.key, rows))).fetchall()
    except psycopg.Error as error:
        if connection.closed:
            raise
        if len(positions) > 1 and not isinstance(error, psycopg.errors.QueryCanceled):
            alone = [await visible_rows(connection, relation, changes, [each], group=group) for each in positions]
            return set().union(*alone)
        print(f"realtime: {role} may not see a row of {relation.schema}.{relation.table}: {error}", file=sys.stderr)
        return set()
    return {positions[row] for (row,) in found}


def arrays(columns: Sequence[Column]) -> sql.Composable:
    return sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(columns))


def parameters(columns: Sequence[Column], rows: list[Values]) -> list[list[str | None]]:
    return [[row.get(column.name) for row in rows] for column in columns]
