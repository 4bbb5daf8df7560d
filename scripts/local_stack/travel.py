"""Who hears of a trend and when: one supabase-py and one supabase-js subscriber, and the webhook's own records."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from app import Client
from app.shorts import Trend, watch_trends

from .errors import StackError
from .settings import Stack

SUBSCRIBE_SECONDS = 20
SETTLE_SECONDS = 60
POLLS_PER_SECOND = 10
Key = tuple[str, str, datetime]


@dataclass(frozen=True)
class Journey:
    """One notified trend; times are seconds since 1970, none where it has not arrived."""

    keyword: str
    region: str
    detected_at: datetime
    score: float
    committed_at: float
    delivered_at: float | None
    received_at: float | None

    @property
    def key(self) -> Key:
        return (self.region, self.keyword, self.detected_at)


@dataclass
class Listeners:
    """When each subscriber first heard of each trend; `since` is when both were subscribed, seconds since 1970."""

    since: float = 0.0
    python: dict[Key, float] = field(default_factory=dict)
    javascript: dict[Key, float] = field(default_factory=dict)
    news: asyncio.Queue[Trend] = field(default_factory=asyncio.Queue)

    def by_python(self, journey: Journey) -> float | None:
        return self.python.get(journey.key)

    def by_javascript(self, journey: Journey) -> float | None:
        return self.javascript.get(journey.key)

    def complete(self, journey: Journey) -> bool:
        return None not in (journey.received_at, self.by_python(journey), self.by_javascript(journey))

    async def later(self) -> AsyncIterator[tuple[str, str, float]]:
        """What is heard from now on."""
        while not self.news.empty():
            self.news.get_nowait()
        while True:
            trend = await self.news.get()
            yield trend.keyword, trend.region_code, trend.trend_score


@asynccontextmanager
async def listeners(stack: Stack, client: Client) -> AsyncIterator[Listeners]:
    """Both subscribers, subscribed when the block begins and gone when it ends."""
    heard = Listeners()
    python_ready, javascript_ready = asyncio.Event(), asyncio.Event()
    with (stack.logs / "trend-subscriber.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            "node",
            "scripts/local_stack/trend_subscriber.mjs",
            cwd=stack.repository,
            env={
                **os.environ,
                "SUPABASE_URL": stack.api_url,
                "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    tasks = [
        asyncio.create_task(hear_in_python(client, heard, python_ready)),
        asyncio.create_task(hear_in_javascript(process.stdout, heard, javascript_ready)),
    ]
    try:
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await asyncio.gather(python_ready.wait(), javascript_ready.wait())
        except TimeoutError:
            missing = "supabase-js" if python_ready.is_set() else "supabase-py"
            raise StackError(
                f"The {missing} subscriber was not subscribed within {SUBSCRIBE_SECONDS} s.",
                next_step=f"Read {stack.logs / 'realtime.log'}.",
            ) from None
        heard.since = time.time()
        yield heard
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def hear_in_python(client: Client, heard: Listeners, ready: asyncio.Event) -> None:
    async for trend in watch_trends(client, full=True, on_subscribed=ready.set):
        heard.python.setdefault((trend.region_code, trend.keyword, trend.detected_at), time.time())
        heard.news.put_nowait(trend)


async def hear_in_javascript(lines: asyncio.StreamReader, heard: Listeners, ready: asyncio.Event) -> None:
    async for line in lines:
        said = json.loads(line)
        if said["event"] == "status":
            if said["status"] == "SUBSCRIBED":
                ready.set()
        else:
            key = (said["region_code"], said["keyword"], datetime.fromisoformat(said["detected_at"]))
            heard.javascript.setdefault(key, said["received_at"])


async def settle(stack: Stack, heard: Listeners) -> None:
    """Wait until what was notified since they listen has arrived everywhere, at most SETTLE_SECONDS."""
    for _ in range(SETTLE_SECONDS * POLLS_PER_SECOND):
        now = [journey for journey in await journeys(stack) if journey.committed_at >= heard.since]
        if all(heard.complete(journey) for journey in now):
            return
        await asyncio.sleep(1 / POLLS_PER_SECOND)


async def journeys(stack: Stack) -> list[Journey]:
    """Every notified trend with what the outbox and the handler recorded of it."""
    async with await psycopg.AsyncConnection.connect(stack.database_url("supabase_admin")) as connection:
        rows = await connection.execute(
            """
            select
                outbox.data ->> 'keyword',
                outbox.data ->> 'region_code',
                (outbox.data ->> 'detected_at')::timestamptz,
                (outbox.data ->> 'trend_score')::double precision,
                extract(epoch from outbox.created_at)::double precision,
                extract(epoch from delivery.changed_at)::double precision,
                extract(epoch from receipt.received_at)::double precision
            from ops.outbox as outbox
            left join ops.webhook_deliveries as delivery
                on outbox.id = delivery.outbox_id and delivery.state = 'delivered'
            left join ops.webhook_receipts as receipt
                on receipt.webhook_id = delivery.webhook_id
            -- Alerts travel the same way, and are none.
            where outbox.event_type = 'trend.detected'
            """
        )
        return [Journey(*row) for row in await rows.fetchall()]
