from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import OndolError, RealtimeError, UnreachableError
from app.realtime import BroadcastSource, ChangesSource, Moment, follow, join, listen, pause_seconds

from .fake_realtime import FakeRealtime, fake_realtime

# The realtime library reads a deprecated attribute of websockets when a connection is cut.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")

TRENDS = BroadcastSource(topic="trends", event="trend")
ROWS = ChangesSource(table="trending_keywords")


@pytest.fixture
async def server() -> AsyncIterator[FakeRealtime]:
    async with fake_realtime() as fake:
        yield fake


@pytest.fixture
async def client(server: FakeRealtime) -> AsyncIterator[Client]:
    settings = Settings(url=server.url, publishable_key=Secret("sb_publishable_x"), timeout_seconds=2)
    async with Client(settings) as opened:
        yield opened


async def first(payloads: Any) -> Any:
    async with asyncio.timeout(5):
        return await anext(payloads)


async def test_broadcasts_arrive_in_order_and_other_events_do_not(server: FakeRealtime, client: Client) -> None:
    async with aclosing(listen(TRENDS, client=client)) as payloads:
        waiting = asyncio.create_task(first(payloads))
        await server.joined.wait()
        await server.broadcast("trends", "other", {"n": 0})
        for n in (1, 2):
            await server.broadcast("trends", "trend", {"n": n})
        assert await waiting == {"n": 1}
        assert await first(payloads) == {"n": 2}
    assert server.requests[0].endswith("/realtime/v1/websocket?apikey=sb_publishable_x&vsn=1.0.0")
    assert server.joins[0]["topic"] == "realtime:trends"
    assert server.joins[0]["payload"]["config"]["private"] is True


async def test_changes_ask_for_inserts_and_updates_of_one_table(server: FakeRealtime, client: Client) -> None:
    async with aclosing(listen(ROWS, client=client)) as payloads:
        waiting = asyncio.create_task(first(payloads))
        await server.joined.wait()
        await server.change("changes-trending_keywords", "UPDATE", {"keyword": "김치"}, ids=[2])
        assert await waiting == {"keyword": "김치"}
    wanted = server.joins[0]["payload"]["config"]["postgres_changes"]
    assert [(row["event"], row["schema"], row["table"]) for row in wanted] == [
        ("INSERT", "public", "trending_keywords"),
        ("UPDATE", "public", "trending_keywords"),
    ]


async def test_changes_are_subscribed_only_when_the_server_streams_them(server: FakeRealtime, client: Client) -> None:
    server.streams = False
    subscribed = asyncio.Event()
    async with aclosing(listen(ROWS, client=client, on_subscribed=subscribed.set)) as payloads:
        waiting = asyncio.create_task(first(payloads))
        await server.joined.wait()
        await asyncio.sleep(0.05)
        assert not subscribed.is_set()
        await server.stream("changes-trending_keywords")
        await asyncio.wait_for(subscribed.wait(), 5)
        await server.change("changes-trending_keywords", "INSERT", {"keyword": "김치"}, ids=[1])
        assert await waiting == {"keyword": "김치"}


async def test_closing_the_iterator_closes_the_connection(server: FakeRealtime, client: Client) -> None:
    payloads = listen(TRENDS, client=client)
    waiting = asyncio.create_task(first(payloads))
    await server.joined.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await payloads.aclose()
    await asyncio.wait_for(server.empty.wait(), 5)
    assert server.closed == 1


@pytest.mark.parametrize("cut", ["connection", "channel"])
async def test_a_lost_subscription_is_made_again(server: FakeRealtime, client: Client, cut: str) -> None:
    lost: list[OndolError] = []
    subscribed: list[int] = []
    listening = listen(
        TRENDS,
        client=client,
        on_subscribed=lambda: subscribed.append(1),
        on_lost=lost.append,
        first_delay_seconds=0.01,
    )
    async with aclosing(listening) as payloads:
        waiting = asyncio.create_task(first(payloads))
        await server.joined.wait()
        if cut == "connection":
            await server.drop()
        else:
            server.joined.clear()
            await server.channel_error("trends")
            await asyncio.wait_for(server.joined.wait(), 5)
        await asyncio.sleep(0.1)
        await server.broadcast("trends", "trend", {"n": 1})
        assert await waiting == {"n": 1}
        assert len(server.sockets) == 1
    assert len(subscribed) == 2
    assert [type(error) for error in lost] == [RealtimeError]


async def test_a_refused_join_is_tried_again_and_then_raised(server: FakeRealtime, client: Client) -> None:
    server.refusals = 2
    async with aclosing(listen(TRENDS, client=client, first_delay_seconds=0.01)) as payloads:
        waiting = asyncio.create_task(first(payloads))
        await server.joined.wait()
        await server.broadcast("trends", "trend", {"n": 1})
        assert await waiting == {"n": 1}

    server.refusals = 3
    with pytest.raises(RealtimeError, match="not today"):
        await first(listen(TRENDS, client=client, max_attempts=3, first_delay_seconds=0.01))
    assert server.refusals == 0


async def test_join_ends_when_the_server_never_answers(server: FakeRealtime) -> None:
    server.silent = True
    settings = Settings(url=server.url, publishable_key=Secret("x"), timeout_seconds=0.2)
    async with Client(settings) as client:
        with pytest.raises(OndolError, match="realtime trends"):
            await join(TRENDS, client=client)
    await asyncio.wait_for(server.empty.wait(), 5)


async def test_join_and_leave(server: FakeRealtime, client: Client) -> None:
    await join(TRENDS, client=client)
    await join(TRENDS, client=client)
    assert len(server.joins) == 2


async def test_nobody_there_is_unreachable(unused_tcp_port: int) -> None:
    settings = Settings(url=f"http://127.0.0.1:{unused_tcp_port}", publishable_key=Secret("x"), timeout_seconds=2)
    async with Client(settings) as client:
        with pytest.raises(UnreachableError):
            await join(TRENDS, client=client)


async def test_a_service_that_is_no_realtime_is_refused(server: FakeRealtime, unused_tcp_port: int) -> None:
    async def not_found(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(not_found, "127.0.0.1", unused_tcp_port):
        settings = Settings(url=f"http://127.0.0.1:{unused_tcp_port}", publishable_key=Secret("x"), timeout_seconds=2)
        async with Client(settings) as client:
            with pytest.raises(RealtimeError, match="404"):
                await join(TRENDS, client=client)


async def test_following_tells_of_subscriptions_and_of_silence(server: FakeRealtime, client: Client) -> None:
    async with aclosing(follow(TRENDS, client=client, quiet_seconds=0.05, first_delay_seconds=0.01)) as heard:
        assert [await first(heard), await first(heard)] == [Moment.SUBSCRIBED, Moment.QUIET]
        await server.broadcast("trends", "trend", {"n": 1})
        assert [await first(heard), await first(heard)] == [{"n": 1}, Moment.QUIET]
        for socket in server.sockets:
            socket.transport.abort()
        assert await first(heard) is Moment.SUBSCRIBED


async def test_a_source_that_is_a_function_is_asked_for_each_subscription(server: FakeRealtime, client: Client) -> None:
    topics = iter(("a", "b"))

    async def source() -> BroadcastSource:
        return BroadcastSource(topic=next(topics), event="trend")

    async with aclosing(follow(source, client=client, first_delay_seconds=0.01)) as heard:
        assert await first(heard) is Moment.SUBSCRIBED
        for socket in server.sockets:
            socket.transport.abort()
        assert await first(heard) is Moment.SUBSCRIBED
    assert [join["topic"] for join in server.joins] == ["realtime:a", "realtime:b"]


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_seconds(failures) for failures in (1, 2, 3, 7, 8, 10**6)] == [0.5, 1, 2, 30, 30, 30]
    assert pause_seconds(2, first=0.01) == 0.02
