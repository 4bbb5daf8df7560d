"""pg_net's stand-in: what it promises in SQL, and that its worker is as slow and forgetful as the real one.

These tests prove the stand-in only. Each module run uses a database and a worker of its own, so that nothing
else of the stack is in the queue.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from aiohttp import web
from psycopg.rows import dict_row

from scripts.local_stack.net_http import Request, libcurl_headers
from scripts.local_stack.settings import Stack

Row = dict[str, Any]
Connection = psycopg.Connection[Row]
DATABASE = "net_tests"


@contextmanager
def connected(stack: Stack, role: str = "postgres", database: str = DATABASE) -> Iterator[Connection]:
    with psycopg.Connection[Row].connect(
        stack.database_url(role, database), autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


@dataclass
class Worker:
    """One worker process of the test database, in one of its two modes."""

    stack: Stack
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "scripts.local_stack.net_worker", str(self.stack.file)]
        self.process = subprocess.Popen(
            [*command, "--database", DATABASE, *self.flags],
            cwd=self.stack.repository,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=10)

    def beat(self) -> str:
        return (self.stack.run / f"net-worker-{DATABASE}.beat").read_text(encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[Worker]:
        self.start()
        try:
            with connected(self.stack) as connection:
                connection.execute("select net.wait_until_running()")
            yield self
        finally:
            if self.process is not None and self.process.poll() is None:
                self.stop()


@pytest.fixture(scope="module")
def net_database(stack: Stack) -> Iterator[Stack]:
    """A database with nothing but pg_net, created by the role and in the words of a migration."""
    with connected(stack, "supabase_admin", "postgres") as admin:
        admin.execute(f"drop database if exists {DATABASE} with (force)")
        admin.execute(f"create database {DATABASE} owner postgres")
        try:
            with connected(stack) as owner:
                owner.execute("create schema extensions")
                owner.execute("create extension if not exists pg_net with schema extensions")
            yield stack
        finally:
            admin.execute(f"drop database {DATABASE} with (force)")


@pytest.fixture
def sql(net_database: Stack) -> Iterator[Connection]:
    with connected(net_database) as connection:
        connection.execute("delete from net.http_request_queue")
        connection.execute("delete from net._http_response")
        yield connection


@pytest.fixture
def worker(net_database: Stack, sql: Connection) -> Iterator[Worker]:
    with Worker(net_database).running() as running:
        yield running


@pytest.fixture
def fast_worker(net_database: Stack, sql: Connection) -> Iterator[Worker]:
    with Worker(net_database, ("--fast",)).running() as running:
        yield running


class Receiver:
    """A server that remembers what reached it."""

    def __init__(self) -> None:
        self.url = ""
        self.arrivals: list[tuple[float, web.Request, bytes]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.arrivals.append((time.monotonic(), request, await request.read()))
        match request.path:
            case "/slow":
                await asyncio.sleep(float(request.query["seconds"]))
            case "/moved":
                raise web.HTTPFound("/ok")
            case "/teapot":
                return web.json_response({"error": "short and stout"}, status=418)
            case "/empty":
                return web.Response(status=204)
            case "/hang-up":
                assert request.transport is not None
                request.transport.close()
        return web.Response(text="먹방", headers={"X-Seen": "yes"})

    @property
    def paths(self) -> list[str]:
        return [request.path for _, request, _ in self.arrivals]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as serving:
        yield serving


async def eventually(read: Callable[[], Awaitable[Any]], *, seconds: float = 10) -> Any:
    """The first true answer of `read`."""
    deadline = time.monotonic() + seconds
    while not (value := await read()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return value


async def response(sql: Connection, request_id: int, *, seconds: float = 10) -> Row:
    async def read() -> Row | None:
        return sql.execute("select * from net._http_response where id = %s", [request_id]).fetchone()

    found = await eventually(read, seconds=seconds)
    assert isinstance(found, dict)
    return found


def value(sql: Connection, statement: str, *parameters: object) -> Any:
    row = sql.execute(statement, parameters).fetchone()
    assert row is not None
    return next(iter(row.values()))


# What the extension is


def test_signatures_and_defaults_are_the_real_ones(sql: Connection) -> None:
    rows = sql.execute("""
        select proname, pg_get_function_arguments(oid) as arguments, pg_get_function_result(oid) as result
        from pg_proc
        where pronamespace = 'net'::regnamespace and proname like 'http\\_%'
    """).fetchall()
    post = (
        "url text, body jsonb DEFAULT '{}'::jsonb, params jsonb DEFAULT '{}'::jsonb, "
        'headers jsonb DEFAULT \'{"Content-Type": "application/json"}\'::jsonb, '
        "timeout_milliseconds integer DEFAULT 5000"
    )
    get = (
        "url text, params jsonb DEFAULT '{}'::jsonb, headers jsonb DEFAULT '{}'::jsonb, "
        "timeout_milliseconds integer DEFAULT 5000"
    )
    assert {row["proname"]: (row["arguments"], row["result"]) for row in rows} == {
        "http_post": (post, "bigint"),
        "http_get": (get, "bigint"),
        "http_delete": (f"{get}, body jsonb DEFAULT NULL::jsonb", "bigint"),
        "http_collect_response": ("request_id bigint, async boolean DEFAULT true", "net.http_response_result"),
    }


def test_tables_are_unlogged_so_that_a_crash_empties_them(sql: Connection) -> None:
    rows = sql.execute("""
        select relname, relpersistence::text
        from pg_class
        where relnamespace = 'net'::regnamespace and relkind in ('r', 'S')
    """).fetchall()
    assert {row["relname"]: row["relpersistence"] for row in rows} == {
        "http_request_queue": "u",
        "http_request_queue_id_seq": "u",
        "_http_response": "u",
    }


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_every_role_may_send_and_read_queued_headers(sql: Connection, role: str) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute(f"set local role {role}")
        sql.execute("""select net.http_get('http://127.0.0.1:1', headers => '{"Authorization": "Bearer x"}')""")
        assert value(sql, "select headers from net.http_request_queue") == {"Authorization": "Bearer x"}
        assert value(sql, "select count(*) from net._http_response") == 0


def test_a_text_body_is_refused_as_by_the_real_function(sql: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction):
        sql.execute("select net.http_post(url := 'http://127.0.0.1:1', body := json_build_object()::text)")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            """net.http_post('http://127.0.0.1:1', headers => '{"content-type": "text/plain"}')""",
            'Content-Type header must be "application/json"',
        ),
        ("net.http_get('nonsense')", "URL using bad/illegal format or missing URL"),
        ("net.http_get(null)", 'null value in column "url" of relation "http_request_queue"'),
    ],
)
def test_bad_calls_are_refused_at_once(sql: Connection, call: str, message: str) -> None:
    with pytest.raises(psycopg.Error, match=message):
        sql.execute(f"select {call}")


@pytest.mark.parametrize(
    ("url", "params", "encoded"),
    [
        ("http://h", {}, "http://h/"),
        ("http://h/p?a=1#top", {"b": "2"}, "http://h/p?a=1&b=2#top"),
        ("http://h/?", {"q": "먹방 & co"}, "http://h/?q=%EB%A8%B9%EB%B0%A9%20%26%20co"),
        ("http://h/p", {"n": 1, "none": None}, "http://h/p?n=1"),
    ],
)
def test_params_are_encoded_into_the_url(sql: Connection, url: str, params: Row, encoded: str) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("select net.http_get(%s, %s::jsonb)", [url, json.dumps(params)])
        assert value(sql, "select url from net.http_request_queue") == encoded


def test_says_when_no_worker_is_up(sql: Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="background worker is not up"):
        sql.execute("select net.check_worker_is_up()")


# What the worker does


async def test_post_delivers_after_commit(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with sql.transaction():
        request_id = value(sql, "select net.http_post(%s, '{\"a\": 1}', headers => '{\"X-N\": 5}')", receiver.url)
        await asyncio.sleep(0.3)
        assert receiver.arrivals == []
    answer = await response(sql, request_id)
    [(_, request, body)] = receiver.arrivals
    assert (request.method, body) == ("POST", b'{"a": 1}')
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-N"] == "5"
    assert request.headers["User-Agent"].startswith("pg_net/")
    assert answer["status_code"] == 200
    assert answer["content"] == "먹방"
    assert answer["content_type"] == "text/plain; charset=utf-8"
    assert answer["headers"]["X-Seen"] == "yes"
    assert (answer["timed_out"], answer["error_msg"]) == (False, None)
    assert value(sql, "select count(*) from net.http_request_queue") == 0


async def test_rollback_sends_nothing(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with sql.transaction(force_rollback=True):
        sql.execute("select net.http_post(%s)", [f"{receiver.url}/never"])
    request_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/ok")
    await response(sql, request_id)
    assert receiver.paths == ["/ok"]


async def test_a_direct_insert_wakes_nobody(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    await asyncio.sleep(0.3)
    sql.execute(
        "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('GET', %s, 5000)",
        [f"{receiver.url}/ok"],
    )
    await asyncio.sleep(1.5)
    assert receiver.arrivals == []
    sql.execute("select net.wake()")

    async def arrived() -> bool:
        return receiver.paths == ["/ok"]

    await eventually(arrived)


async def test_delete_sends_its_body(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    await response(sql, value(sql, "select net.http_delete(%s, body => '[1]')", f"{receiver.url}/ok"))
    [(_, request, body)] = receiver.arrivals
    assert (request.method, body) == ("DELETE", b"[1]")


async def test_statuses_redirects_and_empty_answers_are_recorded(
    sql: Connection, worker: Worker, receiver: Receiver
) -> None:
    with sql.transaction():
        ids = [value(sql, "select net.http_get(%s)", receiver.url + path) for path in ("/teapot", "/moved", "/empty")]
    teapot, moved, empty = [await response(sql, request_id) for request_id in ids]
    assert (teapot["status_code"], teapot["content"]) == (418, '{"error": "short and stout"}')
    assert (moved["status_code"], moved["headers"]["Location"]) == (302, "/ok")
    assert (empty["status_code"], empty["content"]) == (204, None)
    assert sorted(receiver.paths) == ["/empty", "/moved", "/teapot"]


async def test_timeouts_and_refusals_have_the_real_texts(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused_url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with sql.transaction():
            slow_url = f"{receiver.url}/slow?seconds=5"
            slow_id = value(sql, "select net.http_get(%s, timeout_milliseconds => 300)", slow_url)
            refused_id = value(sql, "select net.http_get(%s)", refused_url)
            hung_up_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/hang-up")
            protocol_id = value(sql, "select net.http_get('ftp://127.0.0.1/file')")
            newline_id = value(sql, """select net.http_get(%s, headers => '{"X": "a\\r\\nY: b"}')""", receiver.url)
        slow = await response(sql, slow_id)
        refused = await response(sql, refused_id)
    assert slow["timed_out"] is True
    assert slow["error_msg"].startswith("Timeout of 300 ms reached. Total time: 30")
    assert "HTTP Request/Response time: " in slow["error_msg"]
    assert (refused["timed_out"], refused["error_msg"]) == (False, "Could not connect to server")
    assert refused["status_code"] is None
    hung_up = await response(sql, hung_up_id)
    assert hung_up["error_msg"] == "Server returned nothing (no headers, no data)"
    assert (await response(sql, protocol_id))["error_msg"] == "Unsupported protocol"
    assert "carriage return" in (await response(sql, newline_id))["error_msg"]


async def test_batches_of_200_with_a_pause_of_a_second(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    sql.execute("select net.http_get(%s) from generate_series(1, 450)", [f"{receiver.url}/ok"])

    async def all_arrived() -> bool:
        return len(receiver.arrivals) == 450

    await eventually(all_arrived)
    moments = [moment for moment, _, _ in receiver.arrivals]
    assert min(moments[200:]) - max(moments[:200]) > 0.9
    assert min(moments[400:]) - max(moments[200:400]) > 0.9


async def test_the_slowest_holds_the_answers_of_its_batch(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with sql.transaction():
        quick_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/ok")
        slow_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/slow?seconds=1")
    await asyncio.sleep(0.7)
    assert len(receiver.arrivals) == 2
    assert value(sql, "select count(*) from net._http_response") == 0
    quick, slow = await response(sql, quick_id), await response(sql, slow_id)
    assert quick["created"] == slow["created"]  # one transaction


async def test_fast_isolates_requests(sql: Connection, fast_worker: Worker, receiver: Receiver) -> None:
    slow_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/slow?seconds=2")
    started = time.monotonic()
    sql.execute("select net.http_get(%s) from generate_series(1, 450)", [f"{receiver.url}/ok"])

    async def answered() -> bool:
        return bool(value(sql, "select count(*) = 450 from net._http_response"))

    await eventually(answered)
    assert time.monotonic() - started < 2
    assert (await response(sql, slow_id))["status_code"] == 200


async def test_a_killed_worker_leaves_its_batch_in_the_queue(
    sql: Connection, net_database: Stack, receiver: Receiver
) -> None:
    with Worker(net_database).running() as first:
        request_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/slow?seconds=0.5")

        async def begun() -> bool:
            return len(receiver.arrivals) == 1

        await eventually(begun)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL

    async def put_back() -> bool:
        return bool(value(sql, "select count(*) = 1 from net.http_request_queue"))

    await eventually(put_back)
    with Worker(net_database).running():
        assert (await response(sql, request_id))["status_code"] == 200  # nobody had to wake the second worker
    assert len(receiver.arrivals) == 2


async def test_ends_within_two_seconds_also_amid_a_request(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    sql.execute("select net.http_get(%s, timeout_milliseconds => 60000)", [f"{receiver.url}/slow?seconds=30"])

    async def begun() -> bool:
        return len(receiver.arrivals) == 1

    await eventually(begun)
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 2


async def test_connects_again_when_postgres_dropped_it(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with connected(worker.stack, "supabase_admin") as admin:
        dropped = admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and usename = 'supabase_admin' "
            "and pid <> pg_backend_pid()",
            [DATABASE],
        ).fetchall()
    assert len(dropped) == 2
    request_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/ok")
    assert (await response(sql, request_id))["status_code"] == 200


async def test_waits_for_the_extension_and_beats_meanwhile(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    sql.execute("drop extension pg_net")
    sql.execute("select pg_notify('pg_net', 'wake')")

    async def state(wanted: str) -> bool:
        return worker.beat().rstrip().endswith(wanted)

    await eventually(lambda: state("waiting for pg_net"))
    first = worker.beat()
    sql.execute("create extension pg_net with schema extensions")
    await eventually(lambda: state("ready"))
    assert worker.beat() > first
    request_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/ok")
    assert (await response(sql, request_id))["status_code"] == 200


async def test_old_answers_are_purged_at_the_next_wake(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    sql.execute("""
        insert into net._http_response (id, created)
        values (-1, now() - interval '7 hours'), (-2, now() - interval '5 hours')
    """)
    await response(sql, value(sql, "select net.http_get(%s)", f"{receiver.url}/ok"))
    kept = sql.execute("select id from net._http_response where id < 0").fetchall()
    assert [row["id"] for row in kept] == [-2]


async def test_collect_response_answers_in_the_documented_shape(
    sql: Connection, worker: Worker, receiver: Receiver
) -> None:
    request_id = value(sql, "select net.http_get(%s)", f"{receiver.url}/ok")
    await response(sql, request_id)
    row = sql.execute(
        "select collected.status, (collected.response).status_code, (collected.response).body "
        "from net.http_collect_response(%s, async => false) as collected",
        [request_id],
    ).fetchone()
    assert row == {"status": "SUCCESS", "status_code": 200, "body": "먹방"}
    missing = sql.execute("select status, message from net.http_collect_response(-5)").fetchone()
    assert missing == {"status": "ERROR", "message": "request matching request_id not found"}


async def test_a_restart_takes_up_new_settings(sql: Connection, worker: Worker, receiver: Receiver) -> None:
    with connected(worker.stack, "supabase_admin") as admin:
        admin.execute(f"alter database {DATABASE} set pg_net.batch_size = 2")
    try:
        assert value(sql, "select net.worker_restart()") is True
        await asyncio.sleep(1)
        sql.execute("select net.wait_until_running()")
        sql.execute("select net.http_get(%s) from generate_series(1, 3)", [f"{receiver.url}/ok"])

        async def all_arrived() -> bool:
            return len(receiver.arrivals) == 3

        await eventually(all_arrived)
        assert receiver.arrivals[2][0] - receiver.arrivals[1][0] > 0.9
    finally:
        with connected(worker.stack, "supabase_admin") as admin:
            admin.execute(f"alter database {DATABASE} reset pg_net.batch_size")


def test_own_headers_replace_libcurls() -> None:
    request = Request(1, "POST", "http://h", {"accept": "text/csv", "X-None": None, "X-Yes": True}, b"{}", 1)
    assert dict(libcurl_headers(request)) == {
        "accept": "text/csv",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Yes": "true",
        "User-Agent": "pg_net/0.20.4",
    }
