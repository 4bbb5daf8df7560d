"""What subscribers must never hear: trends that are not ours, and ids of other people's deleted rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from realtime import RealtimeSubscribeStates
from supabase import AsyncClient

from app import Client, listen
from app.shorts.watch import TREND_BROADCAST
from scripts.local_stack.settings import Stack

from .people import Person, connected, signed_up, stored_videos

WITHIN_SECONDS = 10.0
QUIET_SECONDS = 1.0


class Heard:
    """What has arrived, in its order."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._more = asyncio.Event()

    def __call__(self, message: Any) -> None:
        self.all.append(message)
        self._more.set()

    async def until(self, expected: Any) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while expected not in self.all:
                self._more.clear()
                await self._more.wait()


@dataclass
class Sender:
    """Somebody who says that there is a trend, by every way that Realtime has."""

    name: str
    stack: Stack
    supabase: AsyncClient
    key: str
    token: str | None = None
    said: list[str] = field(default_factory=list)

    def trend(self, way: str) -> dict[str, Any]:
        keyword = f"{self.name} {way} {uuid4().hex[:8]}"
        self.said.append(keyword)
        return {
            "keyword": keyword,
            "region_code": "KR",
            "trend_score": 0.99,
            "growth_rate": 900,
            "detected_at": "2026-07-10T00:00:00+00:00",
        }

    async def say(self, *, private: bool) -> None:
        kind = "private" if private else "public"
        headers = {"apikey": self.key} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        async with httpx.AsyncClient(base_url=f"{self.stack.api_url}/realtime/v1/api", headers=headers) as http:
            message = {"topic": "trends", "event": "trend", "private": private, "payload": self.trend(f"{kind} batch")}
            answers = [
                await http.post("/broadcast", json={"messages": [message]}),
                await http.post(
                    "/broadcast/trends/events/trend",
                    params={"private": "true"} if private else {},
                    json=self.trend(f"{kind} single"),
                ),
            ]
        assert [answer.status_code for answer in answers] == [202, 202]
        async with joined(self.supabase, private=private) as channel:
            await channel.send_broadcast("trend", self.trend(f"{kind} websocket"))
            await asyncio.sleep(QUIET_SECONDS / 4)  # the websocket says nothing of what it refuses


@asynccontextmanager
async def joined(supabase: AsyncClient, *, private: bool, heard: Heard | None = None) -> AsyncIterator[Any]:
    """The topic `trends`; `heard` hears the keywords that arrive."""
    options: Any = {
        "config": {
            "broadcast": {"self": False, "ack": False},
            "presence": {"key": "", "enabled": False},
            "private": private,
        }
    }
    channel = supabase.channel("trends", options)
    if heard is not None:
        channel.on_broadcast("trend", lambda message: heard(message["payload"]["keyword"]))
    states: list[RealtimeSubscribeStates] = []
    await channel.subscribe(lambda state, _: states.append(state))
    try:
        assert states == [RealtimeSubscribeStates.SUBSCRIBED]
        yield channel
    finally:
        await supabase.remove_all_channels()


@asynccontextmanager
async def subscriber(client: Client) -> AsyncIterator[Heard]:
    """The keywords that are broadcast to everybody."""
    keywords = Heard()
    subscribed = asyncio.Event()

    async def hear() -> None:
        payloads = listen(TREND_BROADCAST, client=client, on_subscribed=subscribed.set, max_attempts=1)
        async with aclosing(payloads):
            async for payload in payloads:
                keywords(payload["keyword"])

    task = asyncio.create_task(hear())
    try:
        await asyncio.wait_for(subscribed.wait(), WITHIN_SECONDS)
        yield keywords
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def real_trend(stack: Stack) -> AsyncIterator[str]:
    keyword = f"real {uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        await database.execute(
            "insert into public.trending_keywords (keyword, trend_score, growth_rate) values (%s, 0.5, 1)", (keyword,)
        )
        yield keyword
        await database.execute("delete from public.trending_keywords where keyword = %s", (keyword,))


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
async def test_s_282_nobody_can_forge_a_trend(stack: Stack, private: bool) -> None:
    """S-178, S-282: by HTTP or websocket, as a visitor or signed in; what the service and the database say is heard."""
    async with (
        connected(stack) as visitor,
        connected(stack) as onlooker,
        connected(stack, as_service=True) as service,
        signed_up(stack) as person,
        AsyncExitStack() as exits,
    ):
        heard = [await exits.enter_async_context(subscriber(client)) for client in (visitor, person.client)]
        in_public = Heard()
        await exits.enter_async_context(joined(onlooker.supabase, private=False, heard=in_public))
        session = await person.client.supabase.auth.get_session()
        assert session is not None
        public_key = stack.keys.publishable
        forgers = [
            Sender("visitor", stack, visitor.supabase, public_key),
            Sender("person", stack, person.client.supabase, public_key, session.access_token),
        ]
        trusted = Sender("service", stack, service.supabase, stack.keys.secret)
        for forger in forgers:
            await forger.say(private=private)
        # What follows is heard, so what came before has been refused, not delayed.
        await trusted.say(private=True)
        async with real_trend(stack) as real:
            for keywords in heard:
                await keywords.until(real)
            await asyncio.sleep(QUIET_SECONDS)
        forged = [keyword for forger in forgers for keyword in forger.said]
        assert len(forged) == 6
        assert [sorted(keywords.all) for keywords in heard] == [sorted([*trusted.said, real])] * 2
        # The ways above do carry: on a topic that anybody may open, the same words arrive.
        assert sorted(in_public.all) == ([] if private else sorted(forged))


async def test_s_179_nobody_hears_whose_rows_were_deleted(stack: Stack) -> None:
    """S-179, S-180: deletes of searches and feedback are told to nobody; own rows are, while and after they happen."""
    async with (
        stored_videos(stack, 1) as [video],
        signed_up(stack) as person,
        signed_up(stack) as stranger,
        changes(person) as own,
        changes(stranger) as foreign,
    ):
        started = await person.api.start_search("김치찌개")
        await person.api.submit_feedback(video, feedback_type="like")
        async with await psycopg.AsyncConnection.connect(stack.database_url()) as database:
            await database.execute("delete from public.search_sessions where id = %s", (started.id,))
        taken_back = person.client.supabase.table("user_feedback").delete().eq("video_id", video)
        assert len((await taken_back.execute()).data) == 1
        await stranger.api.submit_feedback(video, feedback_type="like")
        of_person = [("INSERT", table, person.id) for table in ("search_sessions", "user_feedback")]
        of_stranger = [("INSERT", "user_feedback", stranger.id)]
        # Changes come in the order of their commits, so the deletes would have come before this one.
        await foreign.until(of_stranger[0])
        await asyncio.sleep(QUIET_SECONDS)
        assert own.all == of_person
        assert foreign.all == of_stranger


@asynccontextmanager
async def changes(person: Person) -> AsyncIterator[Heard]:
    """Every change of searches and feedback that reaches this person: what, where, whose."""
    told = Heard()
    flowing = asyncio.Event()

    def note(event: Any) -> None:
        data = event["data"]
        told((data["type"], data["table"], (data.get("record") or {}).get("user_id", "")))

    channel = person.client.supabase.channel("changes")
    for table in ("search_sessions", "user_feedback"):
        channel.on_postgres_changes("*", note, table=table, schema="public")  # type: ignore[arg-type]
    channel.on_system(lambda _: flowing.set())
    await channel.subscribe()
    try:
        await asyncio.wait_for(flowing.wait(), WITHIN_SECONDS)
        yield told
    finally:
        await person.client.supabase.remove_all_channels()
