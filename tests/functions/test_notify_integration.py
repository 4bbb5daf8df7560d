"""From a row of a trend to what its webhooks lead to, on the running stack: database, edge functions, handlers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from dotenv import dotenv_values
from psycopg.types.json import Jsonb

from scripts.local_stack.settings import REPOSITORY, Stack

from .signing import OTHER_SECRET, SECRET, signed_headers

MARK = "alarmtest"  # every keyword that these tests make begins with it
PATIENCE = 30.0  # seconds from a commit to its effect; a wake-up takes less than one


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees each statement at once; what these tests made is gone before and after."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        forget(connection)
        yield connection
        forget(connection)


def forget(database: psycopg.Connection[Any]) -> None:
    database.execute("delete from ops.webhook_receipts where event #>> '{data,keyword}' like %s", (f"{MARK}%",))
    database.execute("delete from ops.outbox where data ->> 'keyword' like %s", (f"{MARK}%",))
    database.execute("delete from public.trending_keywords where keyword like %s", (f"{MARK}%",))
    database.execute("delete from public.notifications where keyword like %s", (f"{MARK}%",))
    database.execute("delete from auth.users where email like %s", (f"{MARK}%",))
    database.execute("delete from public.webhook_endpoints where description = %s", (MARK,))


@pytest.fixture
def keyword() -> str:
    return f"{MARK}{uuid.uuid4().hex[:8]}"


@pytest.fixture
def follower(database: psycopg.Connection[Any], keyword: str) -> str:
    """Somebody who wants to be told of the keyword."""
    person = str(uuid.uuid4())
    database.execute("insert into auth.users (id, email) values (%s, %s)", (person, f"{MARK}{person}@example.com"))
    database.execute(
        "update public.user_profiles set preferred_keywords = %s where user_id = %s", ([keyword.upper()], person)
    )
    database.execute(
        "update public.users set settings = settings || %s where id = %s", (Jsonb({"notifications": True}), person)
    )
    return person


@pytest.fixture
def secrets(stack: Stack) -> dict[str, str]:
    """The secret of each handler of the running stack."""
    values = dotenv_values(stack.state / "handler.env")
    trends = (values["TREND_WEBHOOK_SECRET"] or "").split()[0]
    return {
        "notify-trend": trends,
        "trend-update": (values.get("TREND_UPDATE_WEBHOOK_SECRET") or trends).split()[0],
    }


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.ports.handler}", timeout=30) as client:
        yield client


def event(kind: str, keyword: str, score: float, *, trend_id: str, told_at: datetime) -> bytes:
    data = {
        "id": trend_id,
        "keyword": keyword,
        "region_code": "KR",
        "trend_score": score,
        "detected_at": told_at.isoformat(),
    }
    return json.dumps({"type": kind, "timestamp": told_at.isoformat(), "data": data}).encode()


async def send(client: httpx.AsyncClient, handler: str, body: bytes, *, secret: str, webhook_id: str) -> httpx.Response:
    headers = signed_headers(body, webhook_id=webhook_id, timestamp=int(time.time()), secret=secret)
    return await client.post(f"/webhooks/{handler}", content=body, headers=headers)


def notifications(database: psycopg.Connection[Any], person: str) -> list[Any]:
    return database.execute(
        "select keyword, (payload ->> 'trend_score')::float from public.notifications where user_id = %s", (person,)
    ).fetchall()


async def test_ten_deliveries_at_once_notify_a_follower_once(
    database: psycopg.Connection[Any], client: httpx.AsyncClient, secrets: dict[str, str], keyword: str, follower: str
) -> None:
    """S-262: receipt and notification are one transaction, whoever comes first."""
    webhook_id, secret = f"msg_{uuid.uuid4().hex}", secrets["notify-trend"]
    body = event("trend.detected", keyword, 0.91, trend_id=str(uuid.uuid4()), told_at=datetime.now(UTC))
    answers = await asyncio.gather(
        *[send(client, "notify-trend", body, secret=secret, webhook_id=webhook_id) for _ in range(10)]
    )
    assert [answer.status_code for answer in answers] == [200] * 10
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 9
    assert notifications(database, follower) == [(keyword, 0.91)]


async def test_an_update_renews_what_is_unread_and_never_with_older_news(
    database: psycopg.Connection[Any], client: httpx.AsyncClient, secrets: dict[str, str], keyword: str, follower: str
) -> None:
    """S-263: a trend.updated makes no new notification; what came late changes nothing."""
    trend_id, now = str(uuid.uuid4()), datetime.now(UTC)
    assert (
        await send(
            client,
            "notify-trend",
            event("trend.detected", keyword, 0.91, trend_id=trend_id, told_at=now),
            secret=secrets["notify-trend"],
            webhook_id=f"msg_{uuid.uuid4().hex}",
        )
    ).json() == {"duplicate": False}
    seen = []
    for score, told_at in ((0.97, now + timedelta(seconds=2)), (0.93, now + timedelta(seconds=1))):
        body = event("trend.updated", keyword, score, trend_id=trend_id, told_at=told_at)
        answer = await send(
            client, "trend-update", body, secret=secrets["trend-update"], webhook_id=f"msg_{uuid.uuid4().hex}"
        )
        assert answer.json() == {"duplicate": False}
        seen += notifications(database, follower)
    assert seen == [(keyword, 0.97)] * 2


async def test_a_trend_comes_through_both_edge_functions_to_its_follower(
    stack: Stack, database: psycopg.Connection[Any], secrets: dict[str, str], keyword: str, follower: str
) -> None:
    """S-262, S-263: nothing but an insert and an update of the trend, as detection writes them."""
    for handler, kind in (("notify-trend", "trend.detected"), ("trend-update", "trend.updated")):
        database.execute(
            "select public.register_webhook_endpoint("
            "url => %s, secret => %s, event_types => %s, allow_private => true)",
            (f"http://127.0.0.1:{stack.ports.handler}/webhooks/{handler}", secrets[handler], [kind]),
        )
    database.execute(
        "insert into public.trending_keywords"
        " (keyword, region_code, data_source, trend_score, detected_at, expires_at)"
        " values (%s, 'KR', 'internal', 0.85, now(), now() + interval '4 hours')",
        (keyword,),
    )
    await until(lambda: notifications(database, follower) == [(keyword, 0.85)])
    database.execute("update public.trending_keywords set trend_score = 0.99 where keyword = %s", (keyword,))
    await until(lambda: notifications(database, follower) == [(keyword, 0.99)])
    await until(lambda: {row[1:] for row in deliveries(database, keyword)} == {("delivered", 200)})
    assert [row[0] for row in deliveries(database, keyword)] == ["trend.detected", "trend.updated", "trend.updated"]


def deliveries(database: psycopg.Connection[Any], keyword: str) -> list[Any]:
    return database.execute(
        "select event.event_type, delivery.state, delivery.last_status"
        " from ops.outbox as event inner join ops.webhook_deliveries as delivery on event.id = delivery.outbox_id"
        " where event.data ->> 'keyword' = %s order by event.event_type",
        (keyword,),
    ).fetchall()


async def until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come in time"
        await asyncio.sleep(0.1)


# A rotation, with a handler of its own that knows one secret


@pytest.fixture
async def handler_of_one_secret(stack: Stack) -> AsyncIterator[str]:
    """The address of a handler process that believes SECRET alone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "TREND_WEBHOOK_SECRET": SECRET,
    }
    command = [str(REPOSITORY / "scripts" / "handlers"), "--port", str(port), "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for _ in range(300):
                with suppress(httpx.TransportError):
                    await client.get("/health")
                    break
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/webhooks/notify-trend"
    finally:
        process.terminate()
        await process.wait()


async def test_a_rotated_secret_reaches_a_handler_of_the_old_one_until_the_overlap_ends(
    database: psycopg.Connection[Any], handler_of_one_secret: str
) -> None:
    [(endpoint,)] = database.execute(
        "select public.register_webhook_endpoint(url => %s, secret => %s, allow_private => true)",
        (handler_of_one_secret, SECRET),
    ).fetchall()
    database.execute("update public.webhook_endpoints set description = %s where id = %s", (MARK, endpoint))

    async def status_of_a_test() -> int:
        [(told,)] = database.execute("select public.test_webhook_endpoint(%s)", (endpoint,)).fetchall()
        found: list[Any] = []

        def is_recorded() -> bool:
            found[:] = database.execute(
                "select last_status from ops.webhook_deliveries where id = %s and last_status is not null",
                (told["delivery_id"],),
            ).fetchall()
            return bool(found)

        await until(is_recorded)
        return int(found[0][0])

    def rotate(overlap: int) -> None:
        database.execute("select public.rotate_webhook_secret(%s, %s, %s)", (endpoint, OTHER_SECRET, overlap))

    assert await status_of_a_test() == 200
    rotate(3600)
    assert await status_of_a_test() == 200  # signed by both
    rotate(0)
    assert await status_of_a_test() == 401
