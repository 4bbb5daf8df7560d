from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from app.errors import OndolError, ServerError, UnexpectedAnswerError
from app.shorts.api import Trend, TrendRow
from app.shorts.watch import watch_trends

from ..fake_news import FakeNews, NewsClient
from ..fake_realtime import FakeRealtime, fake_realtime
from .test_api import ROW, TREND

# The realtime library reads a deprecated attribute of websockets when a connection is cut.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")

BROADCAST = {name: value for name, value in TREND.items() if name != "expires_at"}


@pytest.fixture
async def server() -> AsyncIterator[FakeRealtime]:
    async with fake_realtime() as fake:
        yield fake


@pytest.fixture
def news() -> FakeNews:
    return FakeNews(BROADCAST)


class Watcher:
    """What one watcher yields, as it comes; `ready` counts the times that it said so."""

    def __init__(self) -> None:
        self.trends: list[Trend] = []
        self.ready = 0
        self.lost: list[OndolError] = []
        self.missed: list[int] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def cursors(self) -> list[int | None]:
        return [trend.cursor for trend in self.trends]

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait for `wanted`; what ends the watcher is raised here."""
        assert self.task is not None
        async with asyncio.timeout(5):
            while not wanted():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.005)

    async def until_cursors(self, *cursors: int) -> None:
        await self.until(lambda: len(self.trends) >= len(cursors))
        assert self.cursors == list(cursors)


@asynccontextmanager
async def watching(client: NewsClient, **options: Any) -> AsyncIterator[Watcher]:
    watcher = Watcher()

    def ready() -> None:
        watcher.ready += 1

    async def watch() -> None:
        trends = watch_trends(
            client,
            on_subscribed=ready,
            on_lost=watcher.lost.append,
            on_missed=watcher.missed.append,
            first_delay_seconds=0.01,
            **options,
        )
        async with aclosing(trends):
            async for trend in trends:
                watcher.trends.append(trend)

    async with client:
        watcher.task = asyncio.create_task(watch())
        try:
            yield watcher
        finally:
            watcher.task.cancel()
            await asyncio.gather(watcher.task, return_exceptions=True)


async def test_it_begins_now_and_uses_broadcasts_as_they_are(server: FakeRealtime, news: FakeNews) -> None:
    news.add()
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        told = [await news.tell(server), await news.tell(server)]
        await watcher.until_cursors(2, 3)
    assert watcher.trends == [Trend.model_validate(row) for row in told]
    assert (watcher.trends[0].cursor, watcher.trends[0].change) == (2, "inserted")
    assert news.asked == [None]
    assert server.joins[0]["topic"] == "realtime:trends"
    assert server.joins[0]["payload"]["config"]["private"] is True


async def test_it_goes_on_after_a_cursor_page_by_page(server: FakeRealtime) -> None:
    news = FakeNews(BROADCAST, page=2)
    for _ in range(6):
        news.add()
    async with watching(NewsClient(server, news), cursor=1) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await news.tell(server)
        await watcher.until_cursors(2, 3, 4, 5, 6, 7)
    assert news.asked == [1, 3, 5]


async def test_a_gap_is_fetched_and_a_repeat_is_dropped(server: FakeRealtime, news: FakeNews) -> None:
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        first = await news.tell(server)
        news.add()
        news.add()
        await news.tell(server)
        await server.broadcast("trends", "trend", first)
        await news.tell(server)
        await watcher.until_cursors(1, 2, 3, 4, 5)
    assert news.asked == [None, 1]


async def test_a_message_that_is_ahead_of_what_a_query_sees_is_used(server: FakeRealtime, news: FakeNews) -> None:
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        news.add()
        news.hidden = 1
        await news.tell(server)
        await watcher.until_cursors(1, 2)


@pytest.mark.parametrize("cut", ["connection", "channel"])
async def test_what_was_told_while_it_was_cut_off_is_fetched(server: FakeRealtime, news: FakeNews, cut: str) -> None:
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await news.tell(server)
        await watcher.until_cursors(1)
        news.add()
        if cut == "connection":
            await server.drop()
        else:
            await server.channel_error("trends")
        await watcher.until(lambda: watcher.ready == 2)
        assert watcher.cursors == [1, 2], "on_subscribed comes after what was missed"
        await news.tell(server)
        await watcher.until_cursors(1, 2, 3)
    assert len(watcher.lost) == 1


async def test_the_last_lost_message_is_fetched_when_it_stays_quiet(server: FakeRealtime, news: FakeNews) -> None:
    async with watching(NewsClient(server, news), quiet_seconds=0.05) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        news.add()
        await watcher.until_cursors(1)
    assert watcher.lost == []


async def test_what_is_no_longer_kept_is_told(server: FakeRealtime, news: FakeNews) -> None:
    for _ in range(5):
        news.add()
    news.forget(3)
    async with watching(NewsClient(server, news), cursor=1) as watcher:
        await watcher.until_cursors(4, 5)
    assert watcher.missed == [1]


async def test_a_cursor_of_another_database_begins_anew(server: FakeRealtime, news: FakeNews) -> None:
    """As after a restore: what comes next has a smaller cursor and is no repeat."""
    news.add()
    async with watching(NewsClient(server, news), cursor=900) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await news.tell(server)
        await watcher.until_cursors(2)
    assert watcher.missed == [900]


async def test_a_region_is_chosen_from_what_is_heard_and_fetched(server: FakeRealtime, news: FakeNews) -> None:
    news.add(region_code="US")
    news.add()
    async with watching(NewsClient(server, news), cursor=0, region="KR") as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await news.tell(server, region_code="US")
        await news.tell(server)
        await watcher.until_cursors(2, 4)
    assert news.asked == [0], "another region is no gap"


async def test_a_call_that_fails_for_now_is_made_again(server: FakeRealtime, news: FakeNews) -> None:
    news.add()
    news.failures = 2
    async with watching(NewsClient(server, news), cursor=0, max_attempts=3) as watcher:
        await watcher.until_cursors(1)
    assert [type(error) for error in watcher.lost] == [ServerError, ServerError]

    news.failures = 3
    async with watching(NewsClient(server, news), max_attempts=3) as watcher:
        with pytest.raises(ServerError, match="not today"):
            await watcher.until(lambda: watcher.ready == 1)


PREMIUM = [{"tier": "pro"}]


@pytest.mark.parametrize(
    ("who", "options", "topic"),
    [
        ({}, {}, "trends"),
        ({"token": "t"}, {}, "trends"),
        ({"token": "t", "tiers": PREMIUM}, {}, "trends:premium"),
        ({"tiers": PREMIUM}, {}, "trends"),
        ({"secret": True}, {}, "trends:premium"),
        ({"secret": True}, {"full": False}, "trends"),
        ({}, {"full": True}, "trends:premium"),
    ],
    ids=["visitor", "free", "premium", "signed out", "service", "service, limited", "visitor who insists"],
)
async def test_who_hears_which_topic(
    server: FakeRealtime, news: FakeNews, who: dict[str, Any], options: dict[str, Any], topic: str
) -> None:
    named = dict(who)
    news.tiers = named.pop("tiers", [])
    async with watching(NewsClient(server, news, **named), **options) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
    assert [join["topic"] for join in server.joins] == [f"realtime:{topic}"]


async def test_the_topic_is_chosen_anew_for_each_subscription(server: FakeRealtime, news: FakeNews) -> None:
    news.tiers = PREMIUM
    async with watching(NewsClient(server, news, token="t")) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        news.tiers = []
        await server.drop()
        await watcher.until(lambda: watcher.ready == 2)
    assert [join["topic"] for join in server.joins] == ["realtime:trends:premium", "realtime:trends"]


async def test_whole_trends_are_rows_whether_heard_or_fetched(server: FakeRealtime) -> None:
    news = FakeNews(ROW)
    news.add()
    async with watching(NewsClient(server, news, secret=True), cursor=0) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await news.tell(server, "trends:premium")
        await watcher.until_cursors(1, 2)
    assert [type(trend) for trend in watcher.trends] == [TrendRow, TrendRow]


async def test_the_limited_view_of_the_service_has_no_more_than_everybodys(server: FakeRealtime) -> None:
    news = FakeNews(ROW)
    news.add()
    async with watching(NewsClient(server, news, secret=True), cursor=0, full=False) as watcher:
        await watcher.until_cursors(1)
    assert [type(trend) for trend in watcher.trends] == [Trend]


async def test_who_insists_on_whole_trends_is_not_given_less(server: FakeRealtime, news: FakeNews) -> None:
    news.add()
    async with watching(NewsClient(server, news), cursor=0, full=True) as watcher:
        with pytest.raises(UnexpectedAnswerError, match="not whole"):
            await watcher.until(lambda: watcher.ready == 1)


@pytest.mark.parametrize("message", [{"keyword": "김치", "cursor": 1}, BROADCAST, {"cursor": "x"}])
async def test_another_form_of_message_is_named(server: FakeRealtime, news: FakeNews, message: dict[str, Any]) -> None:
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
        await server.broadcast("trends", "trend", message)
        with pytest.raises(UnexpectedAnswerError, match="watch_trends"):
            await watcher.until(lambda: False)


async def test_closing_it_closes_the_connection(server: FakeRealtime, news: FakeNews) -> None:
    async with watching(NewsClient(server, news)) as watcher:
        await watcher.until(lambda: watcher.ready == 1)
    await asyncio.wait_for(server.empty.wait(), 5)
