"""Who hears which topic of Realtime, and that nobody's policy takes the news from others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app import BroadcastSource, Client, RealtimeError, join, listen
from app.shorts import ShortsApi, Trend, TrendRow
from app.shorts.watch import TREND_BROADCAST, WHOLE_TREND_BROADCAST
from scripts.local_stack.settings import Stack

from .people import connected, signed_up

LIMITED = {"cursor", "change", "id", "keyword", "region_code", "trend_score", "growth_rate", "detected_at"}
TIERS = ("premium", "pro", "enterprise")
NO_TOPICS = (
    *("trends:", "trends:free", "trends:trial", "trends:gold", "trends:premium ", "TRENDS", "trends:premium:x"),
    *("user:", "user:not-a-uuid", "user:null", "user:%", "user:' or true --", "user::searches", "x" * 300, "김치"),
    "admin:security",
)


@dataclass(frozen=True)
class Somebody:
    """A client, and the id of who is signed in there."""

    client: Client
    id: str = "nobody"


@pytest.fixture
async def people(stack: Stack) -> AsyncIterator[dict[str, Somebody]]:
    ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    async with (
        connected(stack) as anonymous,
        connected(stack, as_service=True) as service,
        signed_up(stack) as free,
        signed_up(stack) as expired,
        signed_up(stack) as premium,
        signed_up(stack) as enterprise,
    ):
        for person, tier, expires_at in (
            (expired, "premium", ended),
            (premium, "premium", None),
            (enterprise, "enterprise", None),
        ):
            row = {"user_id": person.id, "tier": tier, "expires_at": expires_at, "source": "operator"}
            await service.supabase.table("user_tiers").insert(row).execute()
        yield {
            "anonymous": Somebody(anonymous),
            "free": Somebody(free.client, free.id),
            "expired": Somebody(expired.client, expired.id),
            "premium": Somebody(premium.client, premium.id),
            "enterprise": Somebody(enterprise.client, enterprise.id),
        }


async def hears(client: Client, topic: str) -> bool:
    try:
        await join(BroadcastSource(topic, "trend"), client=client)
    except RealtimeError as error:
        if "Unauthorized" not in str(error):
            raise
        return False
    return True


async def test_each_hears_the_topics_of_the_access_table_and_no_other(people: dict[str, Somebody]) -> None:
    """S-178: everybody the trends, each tier its topic, each person the own topics, nobody another one's."""
    tiers = {"premium": {"premium"}, "enterprise": set(TIERS)}
    for name, somebody in people.items():
        own = [f"user:{other.id}{part}" for other in people.values() for part in ("", ":searches")]
        topics = ["trends", *(f"trends:{tier}" for tier in TIERS), *own, *NO_TOPICS]
        heard = {topic for topic in topics if await hears(somebody.client, topic)}
        expected = {"trends", *(f"trends:{tier}" for tier in tiers.get(name, ()))}
        if name != "anonymous":
            expected |= {f"user:{somebody.id}", f"user:{somebody.id}:searches"}
        assert heard == expected, name


@asynccontextmanager
async def trend(stack: Stack) -> AsyncIterator[str]:
    keyword = f"access {uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        await database.execute(
            "insert into public.trending_keywords (keyword, trend_score, growth_rate) values (%s, 0.5, 1)", (keyword,)
        )
        yield keyword
        await database.execute("delete from public.trending_keywords where keyword = %s", (keyword,))


class Hearing:
    """The messages of one subscription; once `subscribed`, nothing is missed."""

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self, client: Client, source: BroadcastSource) -> None:
        payloads = listen(source, client=client, on_subscribed=self.subscribed.set, max_attempts=1)
        async with aclosing(payloads):
            async for payload in payloads:
                self._messages.put_nowait(payload)

    async def until(self, keyword: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                message = await self._messages.get()
                if message["keyword"] == keyword:
                    return message


@asynccontextmanager
async def hearing(client: Client, source: BroadcastSource) -> AsyncIterator[Hearing]:
    heard = Hearing()
    task = asyncio.create_task(heard.run(client, source))
    try:
        await asyncio.wait_for(heard.subscribed.wait(), 10)
        yield heard
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_below_premium_a_trend_has_its_limited_columns_heard_or_fetched(
    stack: Stack, people: dict[str, Somebody]
) -> None:
    """S-178: `trends` carries what everybody may know, `trends:premium` the row; `trends_since` answers likewise."""
    anonymous, premium = people["anonymous"].client, people["premium"].client
    before = (await ShortsApi(anonymous).trends_since()).cursor
    async with (
        hearing(anonymous, TREND_BROADCAST) as limited,
        hearing(premium, WHOLE_TREND_BROADCAST) as whole,
        trend(stack) as keyword,
    ):
        assert (await limited.until(keyword)).keys() == LIMITED
        row = await whole.until(keyword)
        assert row.keys() > LIMITED
        assert isinstance(TrendRow.model_validate(row), TrendRow)
        for name, somebody in people.items():
            answer = await somebody.client.call("trends_since", {"cursor": before})
            [fetched] = [each for each in answer["trends"] if each["keyword"] == keyword]
            if name in ("premium", "enterprise"):
                assert fetched == row, name
            else:
                assert fetched.keys() == LIMITED, name
    async with connected(stack, as_service=True) as service:
        news = await ShortsApi(service).trends_since(before)
    assert {type(each) for each in news.trends if each.keyword == keyword} == {TrendRow}
    async with connected(stack) as client:
        news = await ShortsApi(client).trends_since(before)
    assert {type(each) for each in news.trends} == {Trend}


@contextmanager
def policy(stack: Stack, role: str, condition: str) -> Iterator[None]:
    """A policy beside ours, as somebody may add one."""
    with psycopg.connect(stack.database_url(), autocommit=True) as database:
        database.execute(f"create policy raising on realtime.messages for select to {role} using ({condition})")
        try:
            yield
        finally:
            database.execute("drop policy raising on realtime.messages")


async def test_a_policy_that_raises_for_one_topic_silences_no_other(stack: Stack, people: dict[str, Somebody]) -> None:
    """S-178: a cast that fails for the topic of one subscriber is that subscriber's own trouble."""
    free, premium = people["free"].client, people["premium"].client
    raising = "case when topic like 'room:%' then substr(topic, 6)::uuid is not null end"
    with policy(stack, "authenticated", raising):
        async with hearing(free, TREND_BROADCAST) as heard:
            assert not await hears(premium, "room:not-a-uuid")
            assert await hears(premium, f"room:{uuid4()}")
            async with hearing(premium, WHOLE_TREND_BROADCAST) as whole, trend(stack) as keyword:
                await heard.until(keyword)
                await whole.until(keyword)


async def test_a_policy_that_always_raises_silences_only_new_subscribers_of_its_role(
    stack: Stack, people: dict[str, Somebody]
) -> None:
    """S-178: who is subscribed hears on, other roles subscribe, what is sent is sent; without it all is as before."""
    free, anonymous = people["free"].client, people["anonymous"].client
    async with hearing(free, TREND_BROADCAST) as before:
        with policy(stack, "authenticated", "length(topic) / 0 = 1"):
            assert not await hears(free, "trends")
            async with hearing(anonymous, TREND_BROADCAST) as other, trend(stack) as keyword:
                await before.until(keyword)
                await other.until(keyword)
        assert await hears(free, "trends")
