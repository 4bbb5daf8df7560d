"""Keys change under writers: no row is lost, none stays behind, and no key goes while somebody writes with it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack

ROWS = 100_000
BATCH = 5_000
LONGEST_SECONDS = 60
KEY = "rotation_test"
LABEL = "public.rotation_test.secret"

Connection = psycopg.AsyncConnection[Any]

MAKE: tuple[LiteralString, ...] = (
    "create table public.rotation_test (id bigint primary key, secret bytea, expected text)",
    "alter table public.rotation_test enable row level security",
    "create index on public.rotation_test (substr(secret, 1, 5))",
    "select private.register_encrypted_column('public.rotation_test', 'secret')",
    "select private.ensure_encryption_key('rotation_test')",
)
REMOVE: tuple[LiteralString, ...] = (
    "delete from private.encrypted_columns where label = 'public.rotation_test.secret'",
    "drop table if exists public.rotation_test",
    "delete from vault.secrets where name like 'ondol\\_key\\_rotation\\_test\\_v%'",
    "delete from private.encryption_keys where key_name = 'rotation_test'",
)


@asynccontextmanager
async def connect(stack: Stack) -> AsyncIterator[Connection]:
    connection = await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True)
    async with connection:
        yield connection


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[Connection]:
    """The table and the key of these tests, gone at the end."""
    async with connect(stack) as connection:
        await run_all(connection, REMOVE)
        await run_all(connection, MAKE)
        yield connection
        await run_all(connection, REMOVE)


async def run_all(connection: Connection, statements: tuple[LiteralString, ...]) -> None:
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement)


async def value(connection: Connection, statement: LiteralString, *arguments: object) -> Any:
    row = await (await connection.execute(statement, arguments)).fetchone()
    assert row is not None
    return row[0]


async def rotate(connection: Connection) -> None:
    await connection.execute("select ops.rotate_encryption_key(%s)", (KEY,))


async def reencrypt(connection: Connection, limit: int = BATCH) -> dict[str, Any]:
    answer: dict[str, Any] = await value(connection, "select ops.reencrypt_batch(%s)", limit)
    return answer


async def fill(connection: Connection, rows: int) -> None:
    """Set-based, as rotation itself is: calling encrypt_pii() so often would be most of the test's time."""
    await connection.execute(
        """
        insert into public.rotation_test (id, secret, expected)
        select
            number,
            private.seal(
                convert_to('row ' || number, 'UTF8'),
                'public.rotation_test.secret:' || number,
                key.id,
                parts.encrypting,
                parts.authenticating
            ),
            'row ' || number
        from private.encryption_keys as key
        cross join lateral private.key_parts(key.id) as parts
        cross join generate_series(1, %s) as number
        where
            key.key_name = 'rotation_test'
            and key.is_active
        """,
        (rows,),
    )


async def unreadable(connection: Connection) -> int:
    """Rows that do not say what was last written to them; one that cannot be decrypted raises."""
    found: int = await value(
        connection,
        """
        select count(*)
        from public.rotation_test
        where private.decrypt_pii(secret, 'public.rotation_test.secret:' || id) is distinct from expected
        """,
    )
    return found


async def under_old_keys(connection: Connection) -> int:
    found: int = await value(
        connection,
        "select coalesce(sum(row_count), 0)::bigint from private.rows_under_old_keys() where column_label = %s",
        LABEL,
    )
    return found


async def versions_with_a_secret(connection: Connection) -> list[int]:
    versions: list[int] = await value(
        connection,
        "select array_agg(version order by version) from private.encryption_keys"
        " where key_name = %s and vault_secret_id is not null",
        KEY,
    )
    return versions


WRITE: LiteralString = """
    update public.rotation_test
    set
        secret = private.encrypt_pii(%(text)s, 'public.rotation_test.secret:' || id, 'rotation_test'),
        expected = %(text)s
    where id = %(id)s
"""


async def keep_writing(stack: Stack, isolation: psycopg.IsolationLevel, done: asyncio.Event) -> int:
    """Change rows all over the table, three in a transaction, until `done`; returns how many."""
    chosen = random.Random(isolation.value)  # noqa: S311  which rows is no secret
    written = 0
    async with connect(stack) as connection:
        await connection.set_isolation_level(isolation)
        while not done.is_set():
            try:
                async with connection.transaction():
                    for number in sorted(chosen.sample(range(1, ROWS + 1), 3)):
                        await connection.execute(WRITE, {"text": f"온돌 {uuid4()}", "id": number})
            except psycopg.errors.SerializationFailure:
                continue  # what a snapshot of before the rotation is told: begin again
            written += 3
    return written


async def test_s_115_rotates_a_hundred_thousand_rows_under_writers(stack: Stack, database: Connection) -> None:
    began = time.monotonic()
    await fill(database, ROWS)
    filled = time.monotonic() - began
    await database.execute("analyze public.rotation_test")
    done = asyncio.Event()
    writers = [
        asyncio.create_task(keep_writing(stack, isolation, done))
        for isolation in (psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ)
    ]
    try:
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await rotate(database)
        reencrypted = batches = 0
        while await versions_with_a_secret(database) != [2]:
            reencrypted += (await reencrypt(database))["reencrypted"]
            batches += 1
            assert time.monotonic() - began < LONGEST_SECONDS, f"{await under_old_keys(database)} rows are left"
        rotated = time.monotonic() - began
        await asyncio.sleep(0.5)
    finally:
        done.set()
        written = await asyncio.gather(*writers)
    began = time.monotonic()
    assert await unreadable(database) == 0
    read = time.monotonic() - began
    assert await under_old_keys(database) == 0
    assert await value(database, "select count(*) from public.rotation_test") == ROWS
    assert all(written), "a writer wrote nothing: the rotation had nothing beside it"
    print(
        f"{ROWS} rows: encrypted in {filled:.1f} s, rotated in {rotated:.1f} s by {batches} batches"
        f" ({reencrypted} rows) beside {written} writes, decrypted in {read:.1f} s"
    )


async def test_a_key_stays_while_a_transaction_has_written_with_it(stack: Stack, database: Connection) -> None:
    await fill(database, 10)
    async with connect(stack) as writer:
        async with writer.transaction():
            await writer.execute(WRITE, {"text": "written before, seen after", "id": 1})
            await rotate(database)
            await reencrypt(database)
            assert await versions_with_a_secret(database) == [1, 2]
        assert await under_old_keys(database) == 1
        await reencrypt(database)
    assert await versions_with_a_secret(database) == [2]
    assert await unreadable(database) == 0


async def test_an_old_snapshot_cannot_write_with_a_key_that_is_gone(stack: Stack, database: Connection) -> None:
    await fill(database, 10)
    async with connect(stack) as writer:
        await writer.execute("begin isolation level repeatable read")
        await writer.execute("select from public.rotation_test")
        await rotate(database)
        await reencrypt(database)
        assert await versions_with_a_secret(database) == [2]
        with pytest.raises(psycopg.errors.SerializationFailure):
            await writer.execute(
                "insert into public.rotation_test (id, secret)"
                " values (0, private.encrypt_pii('too late', 'public.rotation_test.secret:0', 'rotation_test'))"
            )
        await writer.execute("rollback")
    assert await unreadable(database) == 0


async def test_a_key_that_another_batch_retires_meanwhile_is_passed_over(stack: Stack, database: Connection) -> None:
    await fill(database, 10)
    await rotate(database)
    async with connect(stack) as other:
        async with other.transaction():
            await other.execute(
                "select from private.encryption_keys where key_name = 'rotation_test' and is_active for update"
            )
            # It has listed the old version, and waits for the row of the active one.
            late = asyncio.create_task(reencrypt(database))
            waits: LiteralString = "select cardinality(pg_blocking_pids(%s)) > 0"
            async with asyncio.timeout(30):
                while not await value(other, waits, database.info.backend_pid):  # noqa: ASYNC110 -- the database tells
                    await asyncio.sleep(0.05)
            moved = await reencrypt(other)
        assert moved["reencrypted"] == 10
        assert (await late)["reencrypted"] == 0
    assert await versions_with_a_secret(database) == [2]
    assert await unreadable(database) == 0


async def test_two_rotations_at_once_are_two_rotations(stack: Stack, database: Connection) -> None:
    await fill(database, 100)
    async with connect(stack) as other:
        await asyncio.gather(rotate(database), rotate(other))
        await asyncio.gather(*(reencrypt(connection) for connection in (database, other)))
    await reencrypt(database)
    assert await versions_with_a_secret(database) == [3]
    assert await under_old_keys(database) == 0
    assert await unreadable(database) == 0
