from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import UnexpectedAnswerError
from app.shorts.api import Trend, TrendRow
from app.shorts.watch import watch_trends

from ..fake_realtime import FakeRealtime, fake_realtime
from .test_api import ROW, TREND

BROADCAST = {name: value for name, value in TREND.items() if name != "expires_at"}


@pytest.fixture
async def server() -> AsyncIterator[FakeRealtime]:
    async with fake_realtime() as fake:
        yield fake


def settings(server: FakeRealtime) -> Settings:
    return Settings(server.url, Secret("sb_publishable_x"), secret_key=Secret("sb_secret_y"), timeout_seconds=2)


async def next_of(trends: AsyncIterator[Trend]) -> Trend:
    async with asyncio.timeout(5):
        return await anext(trends)


async def test_anybody_hears_the_broadcast(server: FakeRealtime) -> None:
    async with Client(settings(server)) as client, aclosing(watch_trends(client, region="KR")) as trends:
        waiting = asyncio.create_task(next_of(trends))
        await server.joined.wait()
        await server.broadcast("trends", "trend", {**BROADCAST, "region_code": "US"})
        await server.broadcast("trends", "trend", BROADCAST)
        assert await waiting == Trend.model_validate(BROADCAST)
    assert server.joins[0]["topic"] == "realtime:trends"
    assert server.joins[0]["payload"]["config"]["private"] is True


async def test_the_secret_key_sees_whole_rows(server: FakeRealtime) -> None:
    given = settings(server)
    async with Client(given, key=given.secret_key) as client, aclosing(watch_trends(client)) as trends:
        waiting = asyncio.create_task(next_of(trends))
        await server.joined.wait()
        await server.change("changes-trending_keywords", "INSERT", ROW, ids=[1])
        assert await waiting == TrendRow.model_validate(ROW)
    assert "apikey=sb_secret_y" in server.requests[0]


async def test_the_secret_key_may_listen_to_the_broadcast_too(server: FakeRealtime) -> None:
    given = settings(server)
    async with Client(given, key=given.secret_key) as client, aclosing(watch_trends(client, full=False)) as trends:
        waiting = asyncio.create_task(next_of(trends))
        await server.joined.wait()
        await server.broadcast("trends", "trend", BROADCAST)
        assert (await waiting).keyword == "김치"


async def test_another_form_of_message_is_named(server: FakeRealtime) -> None:
    async with Client(settings(server)) as client, aclosing(watch_trends(client)) as trends:
        waiting = asyncio.create_task(next_of(trends))
        await server.joined.wait()
        await server.broadcast("trends", "trend", {"keyword": "김치"})
        with pytest.raises(UnexpectedAnswerError, match="watch_trends"):
            await waiting
