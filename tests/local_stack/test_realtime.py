"""What proves only the Realtime stand-in: hostile frames, the visibility race, its slot, its process.

What any Supabase must do is in tests/conformance/test_realtime.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from scripts.local_stack.realtime import filters, protocol
from scripts.local_stack.realtime.change import Change
from scripts.local_stack.realtime.changes import Changes
from scripts.local_stack.realtime.database import Database
from scripts.local_stack.realtime.identity import Identity, TokenError, Tokens
from scripts.local_stack.realtime.presence import Presence
from scripts.local_stack.realtime.replication import Replication
from scripts.local_stack.settings import REPOSITORY, Keys, Stack

WITHIN = 10.0  # seconds for anything to arrive
SECRET = "a secret of at least thirty-two bytes"
KEYS = Keys(jwt_secret=SECRET, publishable="sb_publishable_x", secret="sb_secret_x", anon="", service_role="")
TABLES = """
    drop table if exists public.realtime_test, public.realtime_test_late, public.realtime_test_parts;
    drop sequence if exists public.realtime_test_checks;
    create sequence public.realtime_test_checks;
    grant usage on sequence public.realtime_test_checks to anon;
    create table public.realtime_test (id bigint primary key, body text);
    alter table public.realtime_test enable row level security;
    create policy everyone on public.realtime_test for select to anon
    using (nextval('public.realtime_test_checks') > 0);
    create table public.realtime_test_late (id bigint primary key);
    create table public.realtime_test_parts (id bigint, day date, primary key (id, day)) partition by range (day);
    create table public.realtime_test_parts_2026 partition of public.realtime_test_parts
    for values from ('2026-01-01') to ('2027-01-01');
    grant select on public.realtime_test, public.realtime_test_late, public.realtime_test_parts to anon;
    alter publication supabase_realtime add table public.realtime_test
"""
DROP = "drop table public.realtime_test, public.realtime_test_late, public.realtime_test_parts"

identifiers = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


class Client:
    """A websocket that speaks protocol 2.0.0 and keeps what it has not been asked for yet."""

    def __init__(self, socket_: websockets.ClientConnection) -> None:
        self.socket = socket_
        self._refs = iter(range(1, 1_000_000))

    async def push(self, topic: str, event: str, payload: Any = None, *, join_ref: str | None = None) -> str:
        ref = str(next(self._refs))
        await self.socket.send(json.dumps([join_ref or ref, ref, topic, event, payload or {}]))
        return ref

    async def next(self, *events: str) -> tuple[str, str, dict[str, Any]]:
        """Topic, event and payload of the next message that is one of these events."""
        while True:
            frame = await asyncio.wait_for(self.socket.recv(), WITHIN)
            _, _, topic, event, payload = json.loads(frame)
            if event in events:
                return topic, event, payload

    async def join(self, topic: str, *tables: str, **payload: Any) -> dict[str, Any]:
        """Join, and wait until the changes of the tables flow; returns the reply."""
        wanted = [{"event": "*", "schema": "public", "table": table} for table in tables]
        await self.push(topic, "phx_join", {"config": {"postgres_changes": wanted}, **payload})
        reply = (await self.next("phx_reply"))[2]
        if tables:
            assert (await self.next("system"))[2]["status"] == "ok"
        return reply

    async def ids(self, count: int) -> list[int]:
        """The ids of the next changed rows."""
        return [(await self.next("postgres_changes"))[2]["data"]["record"]["id"] for _ in range(count)]


@contextlib.asynccontextmanager
async def connected(stack: Stack, *, vsn: str = "2.0.0") -> AsyncIterator[Client]:
    url = f"ws://127.0.0.1:{stack.ports.realtime}/realtime/v1/websocket?apikey={stack.keys.publishable}&vsn={vsn}"
    async with websockets.connect(url) as socket_:
        yield Client(socket_)


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as connection:
        await connection.execute(TABLES)
        yield connection
        await connection.execute(f"{DROP}; drop sequence public.realtime_test_checks")


@pytest.fixture
def another(stack: Stack, tmp_path: Path) -> Iterator[tuple[Stack, subprocess.Popen[bytes]]]:
    """A second Realtime process on the same database, to be ended as a test likes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    described = dataclasses.replace(stack, state=tmp_path, ports=dataclasses.replace(stack.ports, realtime=port))
    described.save()
    process = start(described)
    try:
        wait_until_healthy(port)
        yield described, process
    finally:
        process.kill()
        process.wait()


def start(stack: Stack) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scripts.local_stack.realtime", str(stack.file)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_healthy(port: int) -> None:
    deadline = time.monotonic() + WITHIN
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
            return
        assert time.monotonic() < deadline, "the realtime part did not become healthy"
        time.sleep(0.05)


async def slots(database: psycopg.AsyncConnection[Any], pid: int) -> list[bool]:
    """Whether each slot of a process is temporary."""
    found = await database.execute(
        "select temporary from pg_replication_slots where slot_name like %s", (f"realtime\\_{pid}\\_%",)
    )
    return [temporary for (temporary,) in await found.fetchall()]


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


def token(**claims: Any) -> str:
    return jwt.encode({"role": "anon", "exp": int(time.time()) + 60, **claims}, SECRET, algorithm="HS256")


@given(frame=st.text() | st.binary() | json_values.map(json.dumps), vsn=st.sampled_from([1, 2]))
def test_whatever_a_frame_holds_it_is_read_or_refused(frame: str | bytes, vsn: int) -> None:
    with contextlib.suppress(protocol.ProtocolError):
        protocol.decode(frame, vsn=vsn)


@pytest.mark.parametrize("frame", ["[" * 100_000, '[null,null,"t","e",NaN]', "\ud800", b"", b"\x03", b"\x03\xff" * 9])
def test_frames_that_parsers_stumble_over_are_refused(frame: str | bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(frame, vsn=2)


@given(
    strings=st.lists(identifiers, min_size=4, max_size=4),
    payload=json_values.map(lambda value: json.dumps(value).encode()) | st.binary(),
    binary=st.booleans(),
)
def test_a_binary_push_comes_out_as_it_went_in(strings: list[str], payload: bytes, binary: bool) -> None:
    join_ref, ref, topic, event = (text.encode() for text in strings)
    header = bytes([3, len(join_ref), len(ref), len(topic), len(event), 0, 0 if binary else 1])
    frame = header + join_ref + ref + topic + event + payload
    try:
        message = protocol.decode(frame, vsn=2)
    except protocol.ProtocolError:
        assert not binary
        return
    assert (message.join_ref or "", message.ref or "", message.topic) == tuple(strings[:3])
    assert message.pushed is not None
    told = message.pushed.frame(message.topic, vsn=2)
    assert isinstance(told, bytes)
    assert told[:5] == bytes([4, len(topic), len(event), 0, 0 if binary else 1])
    assert told[5:] == topic + event + payload
    older = message.pushed.frame(message.topic, vsn=1)
    assert (older is None) == binary
    if isinstance(older, str):
        assert json.loads(older)["payload"]["payload"] == json.loads(payload)


@given(text=st.text())
def test_a_filter_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(filters.FilterError):
        filters.parse(text)


@given(values=st.lists(st.text(), min_size=1, max_size=5))
def test_quoted_values_of_a_filter_survive(values: list[str]) -> None:
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    first, listed = filters.parse(f"a=eq.{quoted[0]},b=not.in.({','.join(quoted)})")
    assert (first.column, first.operator, first.value) == ("a", "eq", values[0])
    assert (listed.negated, listed.value) == (True, filters.array_literal(values))


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 2) | st.none())))
def test_the_diffs_of_presence_lead_to_its_state(steps: list[tuple[str, str, int | None]]) -> None:
    presence, followed = Presence(), dict[str, dict[str, Any]]()
    for tracker, key, mood in steps:
        diff = presence.untrack(tracker, key) if mood is None else presence.track(tracker, key, {"mood": mood})
        for name, entry in (diff or {"joins": {}})["joins"].items():
            followed.setdefault(name, {}).update({meta["phx_ref"]: meta for meta in entry["metas"]})
        for name, entry in (diff or {"leaves": {}})["leaves"].items():
            for meta in entry["metas"]:
                del followed[name][meta["phx_ref"]]
    state = {key: {meta["phx_ref"]: meta for meta in entry["metas"]} for key, entry in presence.state().items()}
    assert state == {key: metas for key, metas in followed.items() if metas}


@pytest.mark.parametrize(
    ("presented", "code"),
    [
        (token(exp=1), "InvalidJWTToken"),
        (token(role=None), "InvalidJWTToken"),
        (token() + "x", "JwtSignatureError"),
        (jwt.encode({"role": "service_role", "exp": 9_999_999_999}, "", algorithm="none"), "MalformedJWT"),
        ("sb_secret_guess", "MalformedJWT"),
        ("", "MalformedJWT"),
    ],
)
def test_tokens_that_must_not_be_trusted(presented: str, code: str) -> None:
    with pytest.raises(TokenError) as refused:
        Tokens(KEYS).identify(presented)
    assert refused.value.code == code


async def test_a_decoded_change_waits_until_its_row_is_visible(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    """The stream may tell of a commit before other connections see it: here it is told before the commit."""
    heard: list[str] = []

    class Subscriber:
        identity = Identity(token="", role="anon", claims='{"role": "anon"}', expires=0)

        def send_changes(self, ids: list[int], data: str) -> None:
            heard.append(json.loads(data)["record"]["body"])

    connection = Database(stack.database_url("supabase_admin"), name="test")
    changes = Changes(connection)
    wanted = {"event": "INSERT", "schema": "public", "table": "realtime_test"}
    changes.add(await changes.check(Subscriber(), changes.new_id(), wanted))
    async with database.transaction():
        await database.execute("insert into public.realtime_test values (1, 'early')")
        found = await (await database.execute("select pg_current_xact_id()::xid::text::bigint")).fetchone()
        assert found is not None
        columns = [{"name": "id", "value": "1"}, {"name": "body", "value": "early"}]
        record = {"action": "I", "schema": "public", "table": "realtime_test", "columns": columns}
        change = Change.of({**record, "timestamp": "2026-01-01 00:00:00+00"})
        delivery = asyncio.create_task(changes.deliver(found[0], [change]))
        await asyncio.sleep(0.2)
        assert (heard, delivery.done()) == ([], False)
    await asyncio.wait_for(delivery, WITHIN)
    assert heard == ["early"]
    await connection.close()


async def test_twenty_runs_lose_nothing(stack: Stack, database: psycopg.AsyncConnection[Any]) -> None:
    async with connected(stack) as client:
        await client.join("realtime:twenty", "realtime_test")
        for run in range(20):
            expected = list(range(run * 100, run * 100 + 40))
            for number in expected[:20]:
                await database.execute("insert into public.realtime_test values (%s, 'alone')", (number,))
            await database.execute(
                "insert into public.realtime_test select n, 'together' from generate_series(%s::bigint, %s) as n",
                (expected[20], expected[-1]),
            )
            assert await client.ids(40) == expected


async def test_one_check_of_row_security_serves_all_of_one_identity(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    async with connected(stack) as client:
        for number in range(30):
            await client.join(f"realtime:same{number}", "realtime_test")
        await database.execute("insert into public.realtime_test values (1, 'x')")
        assert await client.ids(30) == [1] * 30
    found = await (await database.execute("select last_value, is_called from public.realtime_test_checks")).fetchone()
    assert found == (1, True)


async def test_a_large_transaction_arrives_whole_and_in_order(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    async with connected(stack) as client:
        await client.join("realtime:large", "realtime_test")
        await database.execute("insert into public.realtime_test select n from generate_series(1, 1700) as n")
        assert await client.ids(1700) == list(range(1, 1701))


async def test_a_table_that_is_published_later_is_heard_of(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    async with connected(stack) as client:
        await database.execute("insert into public.realtime_test_late values (1)")
        await database.execute("alter publication supabase_realtime add table public.realtime_test_late")
        await client.join("realtime:late", "realtime_test_late")
        await database.execute("insert into public.realtime_test_late values (2)")
        assert await client.ids(1) == [2]


async def test_another_reader_takes_over_without_losing_or_repeating(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    replication, started, read = Replication(stack.database_url("supabase_admin")), asyncio.Event(), list[int]()
    written = 0

    async def follow() -> None:
        async with contextlib.aclosing(replication.records(started=started)) as records:
            async for record in records:
                if record["action"] == "I" and record["table"] == "realtime_test_late":
                    read.append(int(record["columns"][0]["value"]))

    async def write() -> None:
        nonlocal written
        while True:
            await database.execute("insert into public.realtime_test_late values (%s), (%s)", (written, written + 1))
            written += 2

    following = asyncio.create_task(follow())
    await asyncio.wait_for(started.wait(), WITHIN)
    writing = asyncio.create_task(write())
    for number in range(8):
        await asyncio.sleep(0.02)
        await asyncio.wait_for(replication.exclude({("public", f"no such, table.{number}")}), WITHIN)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    found = await (await database.execute("select count(*) from public.realtime_test_late")).fetchone()
    assert found is not None
    await until(lambda: len(read) >= found[0])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert read == sorted(set(read))
    assert found == (len(read),)


async def test_partitions_are_told_under_the_name_that_is_published(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    insert = "insert into public.realtime_test_parts values ({}, '2026-05-05')"
    await database.execute("alter publication supabase_realtime add table public.realtime_test_parts")
    async with connected(stack) as client:
        await client.join("realtime:root", "realtime_test_parts")
        await database.execute(insert.format(1))
        data = (await client.next("postgres_changes"))[2]["data"]
        assert (data["table"], data["record"]["id"]) == ("realtime_test_parts", 1)
        await database.execute("alter publication supabase_realtime set (publish_via_partition_root = false)")
        try:
            await client.join("realtime:leaf", "realtime_test_parts_2026")
            # A partition's own privileges count when it is published as itself.
            await database.execute("grant select on public.realtime_test_parts_2026 to anon")
            await database.execute(insert.format(2))
            assert (await client.next("postgres_changes"))[2]["data"]["table"] == "realtime_test_parts_2026"
        finally:
            await database.execute("alter publication supabase_realtime set (publish_via_partition_root = true)")


@pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])
async def test_broken_frames_do_not_end_the_connection(stack: Stack, vsn: str) -> None:
    async with connected(stack, vsn=vsn) as client:
        for frame in ("", "{", "[]", "null", "[" * 50_000, '["1","2",3,4,5]', b"\x03", b"\xff" * 300, b""):
            await client.socket.send(frame)
        heartbeat: Any = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": "9"}
        await client.socket.send(json.dumps(heartbeat if vsn == "1.0.0" else [None, "9", "phoenix", "heartbeat", {}]))
        assert '"ok"' in str(await asyncio.wait_for(client.socket.recv(), WITHIN))


@pytest.mark.parametrize(
    "payload",
    [
        {"config": 7},
        {"config": {"broadcast": [], "presence": "x", "postgres_changes": {"a": 1}, "private": "yes"}},
        {"config": {"postgres_changes": [None, 5, []]}},
        {"access_token": 7},
        [],
    ],
)
async def test_a_join_of_odd_shape_is_a_plain_join(stack: Stack, payload: Any) -> None:
    async with connected(stack) as client:
        await client.push("realtime:odd", "phx_join", payload)
        assert (await client.next("phx_reply"))[2] == {"status": "ok", "response": {"postgres_changes": []}}


@pytest.mark.parametrize(
    "wanted",
    [
        {"event": "TRUNCATE", "schema": "public", "table": "realtime_test"},
        {"event": "*"},
        {"event": "*", "schema": 5},
        {"event": "*", "schema": "public", "table": "realtime_test", "filter": "id=almost.1"},
        {"event": "*", "schema": "public", "table": "realtime_test", "select": "id"},
    ],
)
async def test_changes_of_odd_shape_are_an_error_after_the_join(
    stack: Stack, database: psycopg.AsyncConnection[Any], wanted: dict[str, Any]
) -> None:
    async with connected(stack) as client:
        await client.push("realtime:odd", "phx_join", {"config": {"postgres_changes": [wanted]}})
        assert (await client.next("system"))[2]["status"] == "error"


async def test_unknown_messages_get_an_error(stack: Stack) -> None:
    async with connected(stack) as client:
        await client.push("realtime:nowhere", "broadcast")
        assert (await client.next("phx_reply"))[2]["response"] == {"reason": "unmatched topic"}
        await client.join("realtime:somewhere")
        await client.push("realtime:somewhere", "dance")
        assert (await client.next("phx_reply"))[2]["status"] == "error"
        await client.push("realtime:", "phx_join")
        assert "TopicNameRequired" in (await client.next("phx_reply"))[2]["response"]["reason"]


async def test_a_connection_may_have_a_hundred_channels(stack: Stack) -> None:
    async with connected(stack) as client:
        for number in range(100):
            assert (await client.join(f"realtime:c{number}"))["status"] == "ok"
        reply = await client.join("realtime:one more")
        assert reply["response"]["reason"].startswith("ChannelRateLimitReached")
        await client.push("realtime:c0", "phx_leave")
        assert (await client.next("phx_close"))[0] == "realtime:c0"
        assert (await client.join("realtime:one more"))["status"] == "ok"


async def test_joining_a_topic_again_ends_the_first_join(stack: Stack) -> None:
    async with connected(stack) as client:
        await client.join("realtime:twice")
        await client.push("realtime:twice", "phx_join")
        seen = [(await client.next("phx_close", "phx_reply"))[1:] for _ in range(3)]
        assert [event for event, _ in seen].count("phx_close") == 1
        await client.push("realtime:twice", "dance")
        assert (await client.next("phx_reply"))[2]["response"]["reason"].startswith("unknown event")


async def test_an_expired_token_ends_its_channel(stack: Stack) -> None:
    claims = {"role": "authenticated", "sub": "x", "exp": int(time.time()) + 2}
    short = jwt.encode(claims, stack.keys.jwt_secret, algorithm="HS256")
    async with connected(stack) as client:
        assert (await client.join("realtime:short", access_token=short))["status"] == "ok"
        told = (await client.next("system"))[2]
        assert (told["status"], told["message"][:17]) == ("error", "Token has expired")
        assert (await client.next("phx_close"))[0] == "realtime:short"
        reply = await client.join("realtime:late", access_token=short)
        assert reply["response"]["reason"].startswith("InvalidJWTToken: Token has expired")


@pytest.mark.parametrize("role", ["supabase_admin", "postgres", "no such role"])
async def test_a_token_may_not_name_any_role(stack: Stack, role: str) -> None:
    claims = {"role": role, "exp": int(time.time()) + 60}
    signed = jwt.encode(claims, stack.keys.jwt_secret, algorithm="HS256")
    async with connected(stack) as client:
        assert (await client.join("realtime:role", access_token=signed))["status"] == "error"


async def test_a_wrong_key_opens_no_websocket(stack: Stack) -> None:
    with pytest.raises(websockets.InvalidStatus, match="401"):
        async with websockets.connect(f"ws://127.0.0.1:{stack.ports.realtime}/realtime/v1/websocket?apikey=x"):
            pass


async def test_the_stream_comes_back_when_postgres_ends_it(
    stack: Stack, database: psycopg.AsyncConnection[Any]
) -> None:
    async with connected(stack) as client:
        await client.join("realtime:back", "realtime_test")
        started = time.monotonic()
        async with await psycopg.AsyncConnection.connect(
            stack.database_url("supabase_admin"), autocommit=True
        ) as admin:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'realtime%'"
            )
        told = (await client.next("system"))[2]
        assert (told["status"], told["message"]) == ("ok", "Subscribed to PostgreSQL")
        assert time.monotonic() - started < 2
        assert (await client.join("realtime:private", access_token=stack.keys.service_role))["status"] == "ok"
        await database.execute("insert into public.realtime_test values (1, 'back')")
        assert await client.ids(1) == [1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_its_slot_is_temporary_and_goes_with_the_process(
    another: tuple[Stack, subprocess.Popen[bytes]], database: psycopg.AsyncConnection[Any], how: signal.Signals
) -> None:
    described, process = another
    assert await slots(database, process.pid) == [True]
    async with connected(described) as client:
        await client.join("realtime:end", "realtime_test")
        process.send_signal(how)
        await asyncio.to_thread(process.wait, 2)
        assert process.returncode == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    deadline = time.monotonic() + WITHIN
    while await slots(database, process.pid):
        assert time.monotonic() < deadline, "the slot outlived its process"


async def test_a_taken_port_is_one_clear_sentence(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.local_stack.realtime",
        str(stack.file),
        cwd=REPOSITORY,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 1
    assert told.decode().strip() == (
        f"realtime: Port {stack.ports.realtime} on 127.0.0.1 is taken. "
        "End the program that holds it, or give this stack other ports with --port-base."
    )
