"""kill -9 of Postgres in the middle of the floor's work: nothing is half done, and the next run finishes it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from scripts.local_stack import migrations, postgres, processes, supervisor
from scripts.local_stack.errors import StackError
from scripts.local_stack.parts import parts
from scripts.local_stack.settings import Stack

MOMENTS = [0.003, 0.01, 0.02, 0.04, 0.08]  # seconds after the work began
PARENTS = 16
PARENT = """
create table private.planted_{number} (at timestamptz primary key) partition by range (at);
create table private.planted_{number}_default partition of private.planted_{number} default;
insert into ops.partition_policies (parent_schema, parent_table, control_column)
values ('private', 'planted_{number}', 'at')
"""

Kill = Callable[[Stack, list[int]], None]


@dataclass(frozen=True)
class Work:
    """What one round plants, what is killed, and what must hold after the crash and after the next run."""

    name: str
    plant: str
    run: str
    nothing_half_done: str
    finished: str


WORKS = [
    Work(
        name="partition maintenance",
        plant="insert into private.planted_{n} (at) select date_trunc('month', now(), 'UTC') + interval '40 months'"
        " * {round} + make_interval(days => day) from generate_series(0, 90) as day",
        run="select state from ops.create_monthly_partitions(now() + interval '40 months' * {round})",
        nothing_half_done="select not exists (select from pg_class where relname ~ '^planted_[0-9]+_' and relkind = 'r'"
        " and not relispartition) and (select count(*) from private.planted_0) = 91 * ({round} + 1)",
        finished="select bool_and(stray_rows = 0) from ops.partition_health(now() + interval '40 months' * {round})"
        " where parent like 'private.planted%'",
    ),
    Work(
        name="cleanup of the outbox",
        plant="insert into ops.outbox (event_type, dedupe_key, data, created_at) select 'planted.old', '{round} ' || n,"
        " '{{}}', now() - interval '31 days' from generate_series(1, 5000) as n;"
        "insert into ops.outbox (event_type, dedupe_key, data) values ('planted.young', '{round}', '{{}}')",
        run="select ops.purge_outbox(batch_size => 2500) + ops.purge_outbox(batch_size => 2500)",
        nothing_half_done="select (select count(*) from ops.outbox where event_type = 'planted.young') = {round} + 1"
        " and (select count(*) from ops.outbox where event_type = 'planted.old') in (0, 5000)",
        finished="select not exists (select from ops.outbox where event_type = 'planted.old')",
    ),
    Work(
        name="cleanup of pg_cron's history",
        plant="insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)"
        " select 0, -n - 10000 * {round}, 'planted', 'succeeded', now() - interval '8 days', now() - interval '8 days'"
        " from generate_series(1, 4000) as n",
        run="select ops.purge_cron_history()",
        nothing_half_done="select (select count(*) from cron.job_run_details where command = 'planted') in (0, 4000)",
        finished="select not exists (select from cron.job_run_details where command = 'planted')",
    ),
    Work(
        name="partitioning of a large table",
        plant="create table private.large_{round} (at timestamptz primary key, note text);"
        "insert into private.large_{round} select timestamptz '2026-01-01 00:00+00' + interval '7 min' * n, n::text"
        " from generate_series(1, 10000) as n",
        run="select ops.partition_large_table('private.large_{round}', 'at')"
        " where (select relkind = 'r' from pg_class where oid = 'private.large_{round}'::regclass)",
        nothing_half_done="select (select count(*) from private.large_{round}) = 10000 and not exists"
        " (select from pg_class where relname like '%\\_\\_partitioned%')",
        finished="select relkind = 'p' from pg_class where oid = 'private.large_{round}'::regclass",
    ),
    Work(
        name="rotation of encryption keys",
        plant="create table private.sealed_{round} (id integer primary key, secret bytea);"
        "select private.register_encrypted_column('private.sealed_{round}', 'secret');"
        "insert into private.sealed_{round} select n, private.encrypt_pii('planted ' || n,"
        " 'private.sealed_{round}.secret:' || n) from generate_series(1, 1000) as n;"
        "select ops.rotate_encryption_key('default')",
        run="select ops.reencrypt_batch(20000)",
        nothing_half_done="select count(*) = 1000 and bool_and(private.decrypt_pii(secret,"
        " 'private.sealed_{round}.secret:' || id) = 'planted ' || id) from private.sealed_{round}",
        finished="select not exists (select from private.rows_under_old_keys())"
        " and (select count(*) from private.encryption_keys where key_name = 'default' and retired_at is null) = 1",
    ),
]


@pytest.fixture(scope="module")
def database() -> Iterator[Stack]:
    """A Postgres of this module's own: it is killed again and again."""
    stack = Stack.create("crash", port_base=63320)
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        try:
            stack.save()
            start(stack)
            postgres.bootstrap(stack)
            migrations.push(stack, quiet)
            with psycopg.connect(stack.database_url(), autocommit=True) as connection:
                # The schedule would do the same work beside the test, and hold its locks when a row is looked for.
                connection.execute(b"select cron.alter_job(jobid, active => false) from cron.job")
                for number in range(PARENTS):
                    connection.execute(PARENT.format(number=number).encode())
            yield stack
        finally:
            supervisor.reset(stack)


def quiet(message: str) -> None:
    """The tests look at what happened, not at what was said."""


def start(stack: Stack) -> None:
    """Start Postgres; orphans of a killed postmaster keep its memory for a moment."""
    part = parts(stack)[0]
    deadline = time.monotonic() + 60
    while True:
        try:
            supervisor.launch_if_needed(part, stack, quiet)
            processes.wait_until_healthy(part, stack)
            return
        except StackError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def kill_everything(stack: Stack, backends: list[int]) -> None:
    """The postmaster first: left alone, its backends would end their statements in peace."""
    postmaster = processes.process_id("postgres", stack)
    assert postmaster is not None
    os.kill(postmaster, signal.SIGSTOP)  # nothing is born between the count and the kill
    children = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
    for pid in (postmaster, *children, *backends):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while processes.process_id("postgres", stack) is not None:
        time.sleep(0.01)


def kill_backend(stack: Stack, backends: list[int]) -> None:
    """Postgres ends every other backend too and recovers by itself."""
    with suppress(ProcessLookupError):
        os.kill(backends[0], signal.SIGKILL)
    time.sleep(0.05)


@pytest.mark.parametrize("kill", [kill_everything, kill_backend], ids=["the postmaster", "a backend"])
def test_the_next_run_finishes_the_work(database: Stack, kill: Kill) -> None:
    """D44, D70, S-109, S-110, S-120: at several moments, all works at once."""
    interrupted = 0
    for number, moment in enumerate(MOMENTS):
        round_ = number + (len(MOMENTS) if kill is kill_backend else 0)
        with psycopg.connect(database.database_url(), autocommit=True) as connection:
            for work in WORKS:
                for n in range(PARENTS if "{n}" in work.plant else 1):
                    connection.execute(work.plant.format(round=round_, n=n).encode())
        interrupted += run_and_kill(database, round_, moment, kill)
        start(database)
        postgres.wait_until_ready(database)
        with psycopg.connect(database.database_url(), autocommit=True) as connection:
            for work in WORKS:
                assert ask(connection, work.nothing_half_done, round_) is True, (work.name, moment)
            for work in WORKS:
                connection.execute(work.run.format(round=round_).encode())
                assert ask(connection, work.finished, round_) is True, (work.name, moment)
                assert ask(connection, work.nothing_half_done, round_) is True, (work.name, moment)
    assert interrupted >= len(MOMENTS), "the kills came too late to interrupt anything"


def run_and_kill(database: Stack, round_: int, moment: float, kill: Kill) -> int:
    """Begin every work at once, kill after `moment`; returns how many works did not end."""
    begin = threading.Barrier(len(WORKS) + 1)
    backends: list[int] = [0] * len(WORKS)
    interrupted: list[str] = []

    def run(index: int, work: Work) -> None:
        connection = psycopg.connect(database.database_url(), autocommit=True)
        backends[index] = connection.info.backend_pid
        begin.wait(timeout=10)
        try:
            connection.execute(work.run.format(round=round_).encode())
        except psycopg.OperationalError:
            interrupted.append(work.name)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index, work)) for index, work in enumerate(WORKS)]
    for thread in threads:
        thread.start()
    begin.wait(timeout=10)
    time.sleep(moment)
    kill(database, backends)
    for thread in threads:
        thread.join(timeout=20)
    return len(interrupted)


def ask(connection: psycopg.Connection[tuple[object, ...]], question: str, round_: int) -> object:
    row = connection.execute(question.format(round=round_).encode()).fetchone()
    assert row is not None
    return row[0]
