"""The handler of the running local stack, asked over HTTP; its receipts are read from the database."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from dotenv import dotenv_values

from scripts.drills.forgeries_strange import strange_requests
from scripts.drills.forgeries_target import signed
from scripts.local_stack.settings import Stack

from .signing import OTHER_SECRET, signed_headers, trend_body


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.ports.handler}", timeout=10) as client:
        yield client


@pytest.fixture
def secret(stack: Stack) -> str:
    """The first secret that the handler was started with."""
    return (dotenv_values(stack.state / "handler.env")["TREND_WEBHOOK_SECRET"] or "").split()[0]


def receipts(stack: Stack, webhook_id: str) -> int:
    with psycopg.connect(stack.database_url()) as connection:
        row = connection.execute(
            "select count(*) from ops.webhook_receipts where webhook_id = %s", (webhook_id,)
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_signed_event_leaves_one_receipt_however_often_it_comes(
    stack: Stack, client: httpx.AsyncClient, secret: str
) -> None:
    webhook_id = f"msg_{uuid.uuid4().hex}"
    body = trend_body(keyword="핸들러시험")
    answers = []
    for _ in range(3):  # each attempt is signed anew, with the same id
        headers = signed_headers(body, webhook_id=webhook_id, timestamp=int(time.time()), secret=secret)
        answers.append(await client.post("/webhooks/notify-trend", content=body, headers=headers))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["duplicate"] for answer in answers] == [False, True, True]
    assert receipts(stack, webhook_id) == 1


async def test_a_forged_event_leaves_nothing(stack: Stack, client: httpx.AsyncClient) -> None:
    webhook_id = f"msg_{uuid.uuid4().hex}"
    body = trend_body()
    headers = signed_headers(body, webhook_id=webhook_id, timestamp=int(time.time()), secret=OTHER_SECRET)
    answer = await client.post("/webhooks/notify-trend", content=body, headers=headers)
    assert answer.status_code == 401
    assert receipts(stack, webhook_id) == 0


async def test_an_endless_body_is_cut_off_over_a_real_socket(client: httpx.AsyncClient) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1000

    answer = await client.post("/webhooks/notify-trend", content=long())
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("handler", "setting"),
    [("notify-trend", "TREND_WEBHOOK_SECRET"), ("trend-update", "TREND_UPDATE_WEBHOOK_SECRET")],
)
async def test_strange_events_never_break_it_with_the_database_behind(
    stack: Stack, client: httpx.AsyncClient, secret: str, handler: str, setting: str
) -> None:
    """S-262, S-263: what the handler lets through, the database takes or refuses; nothing is a failure of ours."""
    known = (dotenv_values(stack.state / "handler.env").get(setting) or secret).split()[0]
    mark = f"strange_{uuid.uuid4().hex}"
    seen: Counter[int] = Counter()
    try:
        for number, strange in enumerate(strange_requests(handler, 400, random.Random(7))):  # noqa: S311
            if number % 2 and strange.method == "POST" and strange.path == f"/webhooks/{handler}":
                whole = signed(strange, secrets=[known], at=int(time.time()), webhook_id=f"{mark}_{number}")
                headers = [(name.encode(), value) for name, value in whole.headers.items()]
                answer = await client.post(whole.path, content=whole.body, headers=headers)
                seen[answer.status_code] += 1
    finally:
        with psycopg.connect(stack.database_url()) as connection:
            connection.execute("delete from ops.webhook_receipts where webhook_id like %s", (f"{mark}%",))
    assert set(seen) <= {200, 400, 401, 413}, seen  # 401: what is no UTF-8 was never signed
    assert min(seen[200], seen[400]) > 10


@pytest.mark.parametrize("handler", ["youtube-videos", "trends", "ai-analysis", "bright-data"])
async def test_the_local_stack_opens_every_handler(client: httpx.AsyncClient, handler: str) -> None:
    """Closed ones answer 404; open ones ask who is there."""
    answer = await client.post(f"/webhooks/{handler}", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 401
