"""The audit log beside many writers: every committed change has its record, and every record gets its seal."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import TypeAlias

import psycopg
import pytest_asyncio
from psycopg.rows import TupleRow

from scripts.local_stack.settings import Stack

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

WRITERS = 8
TRANSACTIONS = 160
ROW_CHANGES = 10_000
ROLES = ("anon", "authenticated", "service_role", "postgres")

# The witness counts by row triggers, a way of its own; what it saw in a transaction that failed is gone with it.
PLANTED = """
create schema planted_audit;
grant usage on schema planted_audit to anon, authenticated, service_role;
create table planted_audit.parents (id integer primary key, amount integer not null, note text default 'canary');
create table planted_audit.children (
    id integer primary key,
    parent integer references planted_audit.parents (id) on delete cascade,
    amount integer not null
);
create index on planted_audit.children (parent);
create table planted_audit.witness (
    event text, table_name text, row_id text, role text, before integer, after integer, rows integer
);
create function planted_audit.see() returns trigger security definer
set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
    seen bigint;
begin
    if tg_op = 'TRUNCATE' then
        execute format('select count(*) from planted_audit.%I', tg_table_name) into seen;
        insert into planted_audit.witness
        values (tg_op, tg_table_name, null, current_setting('role'), null, null, seen);
    elsif tg_op = 'INSERT' then
        insert into planted_audit.witness
        values (tg_op, tg_table_name, new.id, current_setting('role'), null, new.amount, 1);
    elsif tg_op = 'DELETE' then
        insert into planted_audit.witness
        values (tg_op, tg_table_name, old.id, current_setting('role'), old.amount, null, 1);
    else
        insert into planted_audit.witness
        values (tg_op, tg_table_name, new.id, current_setting('role'), old.amount, new.amount, 1);
    end if;
    return null;
end $$;
do $$
declare
    name text;
begin
    foreach name in array array['parents', 'children'] loop
        execute format('alter table planted_audit.%I enable row level security', name);
        execute format('create policy planted on planted_audit.%I for all to anon, authenticated using (true)', name);
        execute format(
            'grant select, insert, update, delete on planted_audit.%I to anon, authenticated, service_role', name
        );
        execute format(
            'create trigger see after insert or update or delete on planted_audit.%I '
            'for each row execute function planted_audit.see()', name
        );
        execute format(
            'create trigger see_truncate before truncate on planted_audit.%I '
            'for each statement execute function planted_audit.see()', name
        );
        perform ops.audit_table(
            format('planted_audit.%I', name)::regclass, array['id', 'amount']
        );
    end loop;
end $$;
"""

# Both sides as (event, table, row, role, amount before, amount after, rows); an update tells what it changed only.
WITNESSED = """
select
    event, table_name, row_id, role,
    case when event <> 'UPDATE' or before <> after then before end,
    case when event <> 'UPDATE' or before <> after then after end,
    rows
from planted_audit.witness
"""
RECORDED = """
select
    event_type, table_name, row_id, case user_role when 'postgres' then 'none' else user_role end,
    (old_data ->> 'amount')::integer, (new_data ->> 'amount')::integer, coalesce((old_data ->> 'rows')::integer, 1)
from ops.audit_logs_enhanced
where table_schema = 'planted_audit' and id > %s
"""

KINDS = """
insert into planted_audit.parents (id, amount) values ({a}, 0) on conflict do nothing;

insert into planted_audit.parents (id, amount)
select n, 1 from generate_series({a}, {b}) as n on conflict do nothing;

insert into planted_audit.parents (id, amount) select n, 1 from generate_series({a}, {b}) as n
on conflict (id) do update set amount = parents.amount + 1;

update planted_audit.parents set amount = amount + id where id between {a} and {b};

update planted_audit.parents set note = 'canary again' where id between {a} and {b};

merge into planted_audit.parents as parent
using (select n from generate_series({a}, {b}) as n) as source on parent.id = source.n
when matched and n % 5 = 0 then delete
when matched then update set amount = -amount
when not matched then insert (id, amount) values (source.n, 2);

insert into planted_audit.children (id, parent, amount)
select id * 3 + n, id, n from planted_audit.parents, generate_series(0, 2) as n where id between {a} and {b}
on conflict (id) do update set amount = excluded.amount + 100;

update planted_audit.children set id = -id where parent between {a} and {b};

delete from planted_audit.parents where id between {a} and {b} and id % 3 = 0;

delete from planted_audit.children where parent = {a}
"""
STATEMENT_KINDS = [kind.strip() for kind in KINDS.split(";")]
TRUNCATES = ("truncate planted_audit.children", "truncate planted_audit.parents cascade")


async def one(connection: Connection, query: str) -> int:
    row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


@pytest_asyncio.fixture
async def admin(stack: Stack) -> AsyncIterator[Connection]:
    """The owner's connection, with two tables under audit."""
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as connection:
        await connection.execute("drop schema if exists planted_audit cascade")
        await connection.execute(PLANTED)
        try:
            yield connection
        finally:
            await connection.execute("drop schema planted_audit cascade")


async def write(stack: Stack, number: int) -> int:
    """Random statements, one to three a transaction; some are rolled back. Returns how many statements committed."""
    chance = random.Random(number)  # noqa: S311  a test that fails must fail again
    committed = 0
    # Writers that would wait for each other in a ring give up early: what they wrote must be gone from the log as well.
    async with await psycopg.AsyncConnection.connect(
        stack.database_url(), options="-c lock_timeout=100ms"
    ) as connection:
        for _ in range(TRANSACTIONS):
            role = chance.choice(ROLES)
            statements = []
            for _ in range(chance.randint(1, 3)):
                first = chance.randint(1, 400)
                statements.append(chance.choice(STATEMENT_KINDS).format(a=first, b=first + chance.randint(0, 25)))
            if role == "postgres" and chance.random() < 0.1:
                statements = [chance.choice(TRUNCATES)]
            try:
                claims = {"sub": f"00000000-0000-4000-8000-{number:012}", "role": role}
                await connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
                if role != "postgres":
                    await connection.execute(f"set local role {role}")
                for statement in statements:
                    await connection.execute(statement)
                if chance.random() < 0.05:
                    await connection.rollback()
                else:
                    await connection.commit()
                    committed += len(statements)
            except (
                psycopg.errors.LockNotAvailable,
                psycopg.errors.DeadlockDetected,
                psycopg.errors.UniqueViolation,
                psycopg.errors.ForeignKeyViolation,
            ):
                await connection.rollback()
    return committed


async def seal(stack: Stack, done: asyncio.Event) -> list[TupleRow]:
    """Seal in small batches and verify until told to stop; returns what was found."""
    findings: list[TupleRow] = []
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as connection:
        while not done.is_set() and not findings:
            await connection.execute("select ops.seal_audit_log(100, 3)")
            findings = await (await connection.execute("select * from ops.verify_audit_chain()")).fetchall()
            await asyncio.sleep(0.2)
    return findings


async def test_s_11_every_committed_row_change_has_one_record_and_every_record_a_seal(
    stack: Stack, admin: Connection
) -> None:
    last_before = await one(admin, "select coalesce(max(id), 0) from ops.audit_logs_enhanced")
    done = asyncio.Event()
    sealers = [asyncio.create_task(seal(stack, done)) for _ in range(2)]
    committed = await asyncio.gather(*(write(stack, number) for number in range(WRITERS)))
    done.set()
    assert await asyncio.gather(*sealers) == [[], []], "the chain verifies at every moment"

    witnessed = await (await admin.execute(WITNESSED)).fetchall()
    recorded = await (await admin.execute(RECORDED, (last_before,))).fetchall()
    by_text = sorted(map(str, witnessed))
    assert min(committed) > TRANSACTIONS / 2
    assert len(witnessed) >= ROW_CHANGES
    assert {(row[0], row[3]) for row in witnessed} >= {
        (event, role)
        for event in ("INSERT", "UPDATE", "DELETE")
        for role in ("anon", "authenticated", "service_role", "none")
    }
    assert "TRUNCATE" in {row[0] for row in witnessed}
    assert sorted(map(str, recorded)) == by_text, "records are the row changes: none missing, none extra"

    await admin.execute("select ops.seal_audit_log(1000, 1000)")
    assert await one(admin, "select count(*) from ops.audit_unsealed") == 0
    assert await (await admin.execute("select * from ops.verify_audit_chain()")).fetchall() == []
    sealed = await one(admin, "select coalesce(sum(row_count), 0) from ops.audit_seals")
    assert sealed == await one(admin, "select count(*) from ops.audit_logs_enhanced")
    leaked = await one(
        admin, "select count(*) from ops.audit_logs_enhanced as entry where strpos(entry::text, 'canary') > 0"
    )
    assert leaked == 0, "what is not clear stays out"


async def test_a_record_that_commits_late_is_sealed_late(stack: Stack, admin: Connection) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url()) as late:
        await late.execute("insert into planted_audit.parents (id, amount) values (1, 1)")
        await admin.execute("insert into planted_audit.parents (id, amount) values (2, 2)")
        await admin.execute("select ops.seal_audit_log(1000, 1000)")
        assert await one(admin, "select count(*) from ops.audit_unsealed") == 0
        await late.commit()
    assert await one(admin, "select ops.seal_audit_log()") == 1
    assert (
        await one(
            admin, "select max(seq) from ops.audit_seals where ids @> (select max(id) from ops.audit_logs_enhanced)"
        )
        > 0
    )
    assert await (await admin.execute("select * from ops.verify_audit_chain()")).fetchall() == []


async def test_who_seals_at_the_same_time_does_nothing(stack: Stack, admin: Connection) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url()) as first:
        await admin.execute("insert into planted_audit.parents (id, amount) values (1, 1)")
        assert await one(first, "select ops.seal_audit_log(1000, 1000)") >= 1
        await admin.execute("insert into planted_audit.parents (id, amount) values (2, 2)")
        assert await one(admin, "select ops.seal_audit_log()") == 0
        await first.commit()
    assert await one(admin, "select ops.seal_audit_log()") == 1


async def test_s_226_a_bulk_delete_is_one_notice_to_who_listens(stack: Stack, admin: Connection) -> None:
    await admin.execute("select ops.watch_table('planted_audit.parents')")
    await admin.execute("insert into planted_audit.parents (id, amount) select n, 1 from generate_series(1, 500) as n")
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as listener:
        await listener.execute("listen sensitive_operation")
        await admin.execute("delete from planted_audit.parents")
        notices = [
            json.loads(notice.payload)
            async for notice in listener.notifies(timeout=5, stop_after=1)
            if "parents" in notice.payload
        ]
    assert [(notice["operation"], notice["table"], notice["rows"]) for notice in notices] == [
        ("DELETE", "parents", 500)
    ]
