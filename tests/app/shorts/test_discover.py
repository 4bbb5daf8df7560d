"""Discovery against the mock server; the queue and the runs are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from app.config import Secret
from app.errors import SourceError, UnreachableError
from app.shorts.discover import Discovery, DiscoveryReport, discover_videos
from app.shorts.youtube import YouTube
from tests.youtube_server import Fault, YouTubeServer
from tests.youtube_server.server import KEY

from .queues import FakeQueue

BOTH = Discovery(["김치 ＡＢＣ", "떡볶이"], ["KR", "JP"], pages=2)


async def nap(seconds: float) -> None:
    """No time passes."""


@dataclass
class Room:
    """The queue and the server."""

    server: YouTubeServer
    queue: FakeQueue

    async def discover(self, wanted: Discovery) -> DiscoveryReport:
        async with YouTube(Secret(KEY), quota=self.queue, url=self.server.url, sleep=nap) as youtube:
            return await discover_videos(self.queue, youtube, wanted, sleep=nap)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with YouTubeServer() as server:
        server.searches["김치 ＡＢＣ"] = [f"kimchi{number:05}" for number in range(70)]
        server.searches["떡볶이"] = [f"tteok{number:06}" for number in range(10)]
        yield Room(server, FakeQueue())


async def test_every_query_is_asked_in_every_region_page_by_page(room: Room) -> None:
    report = await room.discover(BOTH)
    assert (report.pages, report.found, report.resumed) == (6, 160, False)
    assert room.queue.used == {"youtube_search": 6, "youtube_units": 0}
    first, last = room.queue.queued[0], room.queue.queued[69]
    expected = {"video_id": "kimchi00000", "reason": "discovered", "region": "KR", "keyword": "김치 abc", "rank": 1}
    assert first == expected
    assert last == {**expected, "video_id": "kimchi00069", "rank": 70}
    assert room.queue.ended == [("done", report.counts)]


async def test_the_chart_and_single_videos(room: Room) -> None:
    for number in range(60):
        room.server.add_video(f"chart{number:06}")
    report = await room.discover(Discovery(chart=True, pages=9, video_ids=["named000001", "named000001"]))
    assert (report.pages, report.found) == (3, 61)
    assert room.queue.used == {"youtube_search": 0, "youtube_units": 2}
    assert room.queue.queued[0] == {"video_id": "chart000000", "reason": "discovered", "region": "KR"}
    assert room.queue.queued[-1] == {"video_id": "named000001", "reason": "requested"}


def test_what_it_costs_is_known_before() -> None:
    assert (BOTH.searches, BOTH.units) == (8, 8)
    assert (Discovery(chart=True, pages=3).searches, Discovery(chart=True, pages=3).units) == (0, 6)
    assert (Discovery(video_ids=["a"] * 51).units, Discovery(video_ids=[str(n) for n in range(51)]).units) == (1, 2)


async def test_a_page_that_was_paid_is_not_paid_again(room: Room) -> None:
    """The quota ends in the middle; the same request goes on after the last page that was noted."""
    room.queue.limits["youtube_search"] = 3
    first = await room.discover(BOTH)
    assert first.quota is not None
    assert (first.pages, room.queue.ended[-1][0]) == (3, "interrupted")
    room.queue.limits["youtube_search"] = 100
    second = await room.discover(BOTH)
    assert (second.resumed, second.pages, second.quota) == (True, 3, None)
    asked = [(call.query["q"], call.query["regionCode"], call.query.get("pageToken")) for call in room.server.calls]
    assert len(asked) == len(set(asked)) == 6
    ranks = [video["rank"] for video in room.queue.queued]
    assert ranks == [*range(1, 71), *range(1, 71), *range(1, 11), *range(1, 11)]


async def test_a_lost_answer_of_the_backend_does_not_cost_the_page(room: Room) -> None:
    room.queue.failures = {"save_ingest_run": 2}
    assert (await room.discover(BOTH)).pages == 6
    assert len(room.server.calls) == 6


async def test_a_failed_run_can_go_on(room: Room) -> None:
    room.server.faults.extend([None, Fault(error="forbidden")])
    with pytest.raises(SourceError, match="forbidden"):
        await room.discover(BOTH)
    assert room.queue.ended[-1][0] == "failed"
    assert (await room.discover(BOTH)).pages == 5

    room.queue.failures = {"save_ingest_run": 99}
    with pytest.raises(UnreachableError):
        await room.discover(Discovery(["떡볶이"]))


async def test_ctrl_c_is_noted(room: Room) -> None:
    room.server.delay = 2
    task = asyncio.create_task(room.discover(BOTH))
    await room.server.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [outcome for outcome, _ in room.queue.ended] == ["interrupted"]


async def test_an_old_page_token_gives_up_its_search_only(room: Room) -> None:
    room.queue.limits["youtube_search"] = 1
    await room.discover(BOTH)
    room.queue.limits["youtube_search"] = 100
    room.server.faults.append(Fault(error="invalidPageToken"))
    report = await room.discover(BOTH)
    assert (report.resumed, report.found, report.quota) == (True, 90, None)


async def test_a_token_that_was_just_given_must_be_good(room: Room) -> None:
    room.server.faults.extend([None, Fault(error="invalidPageToken")])
    with pytest.raises(SourceError, match="invalidPageToken"):
        await room.discover(BOTH)
