"""The worker against the mock server; the queue is in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import chain

import pytest

from app.config import Secret
from app.errors import SourceError, UnreachableError
from app.shorts.refresh import RefreshReport, refresh_videos
from app.shorts.youtube import YouTube
from tests.youtube_server import Fault, YouTubeServer
from tests.youtube_server.server import KEY

from .ledgers import RESETS_AT
from .queues import AT, FakeQueue

IDS = [f"queue{number:06}" for number in range(120)]


@dataclass
class Room:
    """The queue, the server, and a worker that tells how long it would have slept."""

    server: YouTubeServer
    queue: FakeQueue
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def refresh(self, most: int | None = None, *, with_channels: bool = False) -> RefreshReport:
        async with YouTube(
            Secret(KEY),
            quota=self.queue,
            url=self.server.url,
            timeout_seconds=0.5,
            sleep=self.sleep,
            now=lambda: AT,
        ) as youtube:
            return await refresh_videos(
                self.queue, youtube, most=most, with_channels=with_channels, sleep=self.sleep, now=lambda: AT
            )


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with YouTubeServer() as server:
        for video_id in IDS:
            server.add_video(video_id)
        yield Room(server, FakeQueue(IDS))


def where(queue: FakeQueue) -> set[str]:
    """Every id that can be found somewhere."""
    return {*queue.due, *queue.waiting, *queue.stored, *queue.gone, *queue.rejected, *chain(*queue.leases.values())}


async def test_fifty_ids_are_one_call(room: Room) -> None:
    """S-192, S-215: what is due is asked fifty at a time, one unit each."""
    report = await room.refresh()
    assert (report.calls, report.claimed, report.refreshed, report.gone, report.quota) == (3, 120, 120, 0, None)
    assert room.queue.used["youtube_units"] == room.server.counted("videos") == 3
    assert room.queue.stored[IDS[0]]["keywords"]


async def test_at_most_so_many_are_claimed(room: Room) -> None:
    report = await room.refresh(most=70)
    assert (report.calls, report.claimed) == (2, 70)
    assert len(room.queue.due) == 50


async def test_the_region_that_an_id_was_found_in_goes_with_it(room: Room) -> None:
    room.queue.region = "JP"
    await room.refresh(most=1)
    assert room.queue.stored[IDS[0]]["region"] == "JP"


async def test_one_bad_resource_never_stops_the_rest(room: Room) -> None:
    """Deleted, unreadable and refused ones are told apart, the others are stored."""
    del room.server.videos[IDS[1]]
    room.server.add_video(IDS[2], snippet={"title": ""})
    room.server.add_video(IDS[3], contentDetails={"duration": "soon"})
    room.server.add_video(IDS[4], snippet={"title": "가" * 501})
    report = await room.refresh()
    assert (report.refreshed, report.gone, report.left, report.refused_count) == (116, 1, 2, 3)
    assert [refusal.code for refusal in report.refusals] == ["missing_value", "bad_duration", "ON004"]
    assert (room.queue.gone, room.queue.rejected) == ([IDS[1]], [IDS[4]])
    assert set(room.queue.waiting) == {IDS[2], IDS[3]}


async def test_nothing_found_at_all_is_asked_for_twice_before_it_is_believed(room: Room) -> None:
    room.server.faults.append(Fault(change=lambda answer: {**answer, "items": []}))
    report = await room.refresh(most=50)
    assert (report.calls, report.refreshed, report.gone) == (2, 50, 0)
    for video_id in IDS[50:100]:
        del room.server.videos[video_id]
    report = await room.refresh(most=50)
    assert (report.calls, report.refreshed, report.gone) == (2, 0, 50)


async def test_a_spent_quota_ends_the_run_and_gives_back(room: Room) -> None:
    """S-192: by the ledger's word; what was claimed is due when the quota begins anew."""
    room.queue.limits["youtube_units"] = 2
    report = await room.refresh()
    assert (report.calls, report.refreshed, report.released) == (2, 100, 20)
    assert report.quota is not None
    assert set(room.queue.waiting.values()) == {("quota_spent", int((RESETS_AT - AT).total_seconds()) + 1)}
    assert room.server.counted("videos") == 2
    assert where(room.queue) == set(IDS)


async def test_youtubes_word_ends_the_run_too(room: Room) -> None:
    room.server.faults.extend([None, Fault(error="quotaExceeded")])
    report = await room.refresh()
    assert report.quota is not None
    assert (report.refreshed, report.released, len(room.server.calls)) == (50, 50, 2)
    assert (await room.refresh()).calls == 0
    assert len(room.server.calls) == 2
    assert where(room.queue) == set(IDS)


async def test_a_failing_call_goes_back_and_the_next_is_tried(room: Room) -> None:
    room.server.faults.extend([Fault(error="internalError")] * 4)
    report = await room.refresh()
    assert (report.failures, report.released, report.refreshed) == (1, 50, 70)
    assert {seconds for _, seconds in room.queue.waiting.values()} == {60}
    assert where(room.queue) == set(IDS)


async def test_a_long_retry_after_is_kept_in_the_queue(room: Room) -> None:
    room.server.faults.append(Fault(error="tooManyRequests", retry_after="900"))
    report = await room.refresh(most=50)
    assert report.released == 50
    assert {seconds for _, seconds in room.queue.waiting.values()} == {900}
    assert room.slept == [60.0]


async def test_five_failures_in_a_row_end_the_run(room: Room) -> None:
    room.queue.due = [f"short{number:06}" for number in range(500)]
    room.server.faults.extend([Fault(error="backendError")] * 100)
    with pytest.raises(SourceError) as caught:
        await room.refresh()
    assert caught.value.is_transient
    assert len(room.server.calls) == 20
    assert (len(room.queue.waiting), len(room.queue.due)) == (250, 250)


@pytest.mark.parametrize("error", ["forbidden", "keyInvalid", "accessNotConfigured"])
async def test_a_refusal_ends_the_run_at_once(room: Room, error: str) -> None:
    room.server.faults.append(Fault(error=error))
    with pytest.raises(SourceError, match=error):
        await room.refresh()
    assert len(room.server.calls) == 1
    assert where(room.queue) == set(IDS)


async def test_a_lost_answer_of_the_backend_is_asked_again(room: Room) -> None:
    room.queue.failures = {"claim_refreshes": 2, "finish_refreshes": 1}
    report = await room.refresh()
    assert set(room.queue.stored) == set(IDS)
    assert report.claimed == 120
    assert room.server.counted("videos") == 3


async def test_a_batch_that_the_backend_fails_at_goes_back_and_the_next_is_tried(room: Room) -> None:
    """As long as the ledger or the store fails for a while, YouTube is not to blame and nothing is lost."""
    room.queue.failures = {"take_quota": 1}
    report = await room.refresh()
    assert (report.failures, report.released, report.refreshed) == (1, 50, 70)
    assert set(room.queue.waiting.values()) == {("memory cannot be reached: take_quota.", 60)}
    assert where(room.queue) == set(IDS)

    room.queue.due, room.queue.failures = [f"again{number:06}" for number in range(300)], {"take_quota": 99}
    with pytest.raises(UnreachableError):
        await room.refresh()


async def test_a_dead_backend_ends_the_run(room: Room) -> None:
    room.queue.failures = {"claim_refreshes": 99}
    with pytest.raises(UnreachableError):
        await room.refresh()
    assert room.server.calls == []


async def test_ctrl_c_gives_the_lease_back(room: Room) -> None:
    room.server.delay = 0.4
    task = asyncio.create_task(room.refresh())
    await room.server.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert room.queue.leases == {}
    assert set(room.queue.waiting.values()) == {("CancelledError", 0)}
    assert where(room.queue) == set(IDS)


async def test_mixed_faults_lose_nothing(room: Room) -> None:
    cut, late = Fault(cut=200), Fault(wait=0.7)
    limited = Fault(error="tooManyRequests", retry_after="3")
    room.server.faults.extend([cut, limited, None, late, Fault(body=b"{}"), Fault(error="rateLimitExceeded"), None])
    report = await room.refresh()
    assert (report.refreshed, report.failures) == (120, 0)
    assert room.queue.used["youtube_units"] == len(room.server.calls) == 8


async def test_channels_are_asked_fifty_at_a_time_and_not_those_of_today(room: Room) -> None:
    for number, video_id in enumerate(IDS):
        channel_id = f"UC{number % 60}"
        room.server.videos[video_id]["snippet"]["channelId"] = channel_id
        room.server.add_channel(channel_id)
    room.queue.known_channels = {f"UC{number}" for number in range(5)}
    report = await room.refresh(with_channels=True)
    assert report.channels == 55
    assert sorted(room.queue.channels) == sorted(f"UC{number}" for number in range(5, 60))
    assert room.server.counted("channels") == 2
    assert report.calls == len(room.server.calls) == room.queue.used["youtube_units"] == 5


async def test_the_quota_may_end_among_the_channels(room: Room) -> None:
    room.queue.limits["youtube_units"] = 3
    report = await room.refresh(with_channels=True)
    assert report.refreshed == 120
    assert report.quota is not None
    assert room.server.counted("channels") == 0
