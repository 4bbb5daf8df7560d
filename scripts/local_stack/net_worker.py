"""The worker of pg_net's stand-in: sends what net.http_* queued, as slowly and forgetfully as the real one.

`python -m scripts.local_stack.net_worker STACK_JSON [--fast] [--database NAME]`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from .errors import StackError
from .net_http import Request, Response, new_session, send
from .settings import Stack

DATABASE = "postgres"  # pg_net serves one database of a cluster
PAUSE_BETWEEN_BATCHES = 1.0  # seconds, pg_net's own
APPLICATION_NAME = "pg_net 0.20.4 worker"  # what net.check_worker_is_up() looks for
RETRY_AFTER = 0.5  # seconds, while Postgres is away or the extension is not installed
SETTINGS = """
    select
        coalesce(nullif(current_setting('pg_net.ttl', true), ''), '6 hours')::interval::text,
        coalesce(nullif(current_setting('pg_net.batch_size', true), ''), '200')::integer
"""
PURGE = """
    delete from net._http_response
    where ctid = any(array(
        select ctid from net._http_response where created < now() - %s::interval order by created limit %s
    ))
"""
TAKE = """
    delete from net.http_request_queue
    where id in (select id from net.http_request_queue order by id limit %s)
    returning id, method, url, headers, body, timeout_milliseconds
"""
ANSWER = """
    insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
    values (%s, %s, %s, %s, %s, %s, %s)
"""
log = logging.getLogger("net-worker")


class NetWorker:
    """Listens on one connection, works on another, and starts both again when Postgres went away."""

    def __init__(self, stack: Stack, *, fast: bool = False, database: str = DATABASE) -> None:
        self.stack = stack
        self.fast = fast
        self.database = database
        self.state = "waiting for Postgres"
        self.wake = asyncio.Event()
        self.restarting = False

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.beat())
            group.create_task(self.keep_working())

    async def beat(self) -> None:
        """Write the time and the state once a second for the supervisor."""
        self.stack.run.mkdir(parents=True, exist_ok=True)
        name = "net-worker" if self.database == DATABASE else f"net-worker-{self.database}"
        file = self.stack.run / f"{name}.beat"
        while True:
            file.write_text(f"{datetime.now(UTC).isoformat()} {self.state}\n", encoding="utf-8")
            await asyncio.sleep(1)

    async def keep_working(self) -> None:
        while True:
            try:
                async with self.connection() as listener, self.connection() as worker, new_session() as session:
                    await self.wait_for_extension(worker)
                    await listener.execute("listen pg_net")
                    self.restarting = False
                    self.change_state("ready")
                    self.wake.set()  # what an earlier worker left behind
                    await first_to_end(self.listen(listener), self.work(worker, session))
            except psycopg.errors.UndefinedTable:
                self.change_state("waiting for pg_net")  # the extension was dropped
            except psycopg.OperationalError as error:
                self.change_state("waiting for Postgres")
                log.debug("%s", error)
            except psycopg.Error:
                log.exception("The batch was given up; its requests are in the queue still.")
            await asyncio.sleep(RETRY_AFTER)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        connection = await psycopg.AsyncConnection.connect(
            self.stack.database_url("supabase_admin", self.database), autocommit=True, connect_timeout=5
        )
        try:
            yield connection
        finally:
            # A cancelled query leaves the connection in use; closing it is what rolls back.
            await connection.close()

    async def wait_for_extension(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            cursor = await connection.execute("select from pg_extension where extname = 'pg_net'")
            if cursor.rowcount:
                await connection.execute("select set_config('application_name', %s, false)", [APPLICATION_NAME])
                return
            self.change_state("waiting for pg_net")
            await asyncio.sleep(RETRY_AFTER)

    async def listen(self, connection: psycopg.AsyncConnection) -> None:
        """Turn what net.wake() and net.worker_restart() say into `wake` and `restarting`."""
        async for notification in connection.notifies():
            if notification.payload == "restart":
                self.restarting = True
            self.wake.set()

    async def work(self, connection: psycopg.AsyncConnection, session: aiohttp.ClientSession) -> None:
        """Empty the queue at each wake; ends when a restart is asked for, with no batch half done."""
        sender = self.send_isolated if self.fast else self.send_together
        while not self.restarting:
            await self.wake.wait()
            self.wake.clear()
            await sender(connection, session)

    async def send_together(self, connection: psycopg.AsyncConnection, session: aiohttp.ClientSession) -> None:
        """Batch by batch, each in one transaction that stays open until its slowest request ends."""
        busy = True
        while busy and not self.restarting:
            async with connection.transaction():
                requests, purged = await take(connection)
                answers = await asyncio.gather(*(send(session, request) for request in requests))
                await record(connection, answers)
            busy = bool(requests or purged)
            if busy:
                await asyncio.sleep(PAUSE_BETWEEN_BATCHES)

    async def send_isolated(self, connection: psycopg.AsyncConnection, session: aiohttp.ClientSession) -> None:
        """No request waits for another; what is in flight when the worker ends is lost."""

        async def send_one(request: Request) -> None:
            await record(connection, [await send(session, request)])
            self.wake.set()

        sending: set[asyncio.Task[None]] = set()
        try:
            while not self.restarting:
                self.wake.clear()
                requests, purged = await take(connection)
                sending |= {asyncio.create_task(send_one(request)) for request in requests}
                if not requests and not purged:
                    await self.wake.wait()
                for task in {task for task in sending if task.done()}:
                    sending.remove(task)
                    task.result()
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()

    def change_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            log.info(state)


async def take(connection: psycopg.AsyncConnection) -> tuple[list[Request], int]:
    """Take the oldest requests out of the queue and purge old answers, one batch of each at most."""
    settings = await (await connection.execute(SETTINGS)).fetchone()
    assert settings is not None
    time_to_live, batch_size = settings
    # The queue is locked first, as `drop extension` does it: the other order is a deadlock.
    async with connection.cursor(row_factory=class_row(Request)) as cursor:
        await cursor.execute(TAKE, [batch_size])
        requests = await cursor.fetchall()
    purged = (await connection.execute(PURGE, [time_to_live, batch_size])).rowcount
    return sorted(requests, key=lambda request: request.id), purged


async def record(connection: psycopg.AsyncConnection, answers: list[Response]) -> None:
    rows = [
        (
            answer.id,
            answer.status_code,
            answer.content_type,
            None if answer.headers is None else Jsonb(answer.headers),
            answer.content,
            answer.timed_out,
            answer.error_msg,
        )
        for answer in answers
    ]
    async with connection.cursor() as cursor:
        await cursor.executemany(ANSWER, rows)


async def first_to_end(*works: Coroutine[object, object, None]) -> None:
    """Run all, stop them all as soon as one ends, and raise what it raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def serve(worker: NetWorker) -> None:
    """Work until SIGTERM or SIGINT."""
    work = asyncio.create_task(worker.run())
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main() -> int:
    parser = argparse.ArgumentParser(prog="net_worker", description="The worker of pg_net's stand-in.")
    parser.add_argument("stack", type=Path, metavar="STACK_JSON")
    parser.add_argument("--fast", action="store_true", help="no pauses, and no request waits for another")
    parser.add_argument("--database", default=DATABASE, help="the one database that is served (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        asyncio.run(serve(NetWorker(Stack.load(options.stack), fast=options.fast, database=options.database)))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
