"""The worker of freshness: asks YouTube about the videos that are due, fifty a call, and stores what it says.

What it claims is a lease: what is not answered goes back to the queue, and after a crash it does so by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from ..errors import OndolError, QuotaSpentError
from .api import Ingested, ShortsApi, VideoInput
from .calls import persist
from .channels import ChannelInput
from .freshness import ClaimedRefreshes, ClaimedVideo, FinishedRefreshes, ReleasedRefreshes
from .keywords import add_keywords
from .youtube import ChannelsAnswer, Unusable, VideosAnswer

__all__ = ["RefreshApi", "RefreshReport", "RefreshSource", "RefreshTarget", "refresh_videos"]

IDS_PER_CALL = 50
DOUBTFUL = 10  # videos gone at once, and none found: more likely a mistake of YouTube's
LEASE_SECONDS = 300
MAX_FAILURES = 5  # one after the other
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
CHANNEL_AGE = timedelta(days=1)
REFUSALS_KEPT = 1_000

Sleep = Callable[[float], Awaitable[None]]


class RefreshSource(Protocol):
    """What the worker needs of the source; YouTube is one."""

    async def videos(self, video_ids: Sequence[str], /) -> VideosAnswer: ...

    async def channels(self, channel_ids: Sequence[str], /) -> ChannelsAnswer: ...


class RefreshTarget(Protocol):
    """What the worker needs of the backend; RefreshApi is one."""

    async def claim_refreshes(self, most: int, /, *, lease_seconds: int) -> ClaimedRefreshes: ...

    async def finish_refreshes(
        self, lease: UUID, /, *, videos: Sequence[VideoInput], missing: Sequence[str]
    ) -> FinishedRefreshes: ...

    async def release_refreshes(
        self, lease: UUID, /, *, problem: str, retry_after_seconds: int
    ) -> ReleasedRefreshes: ...

    async def channels_known_since(self, channel_ids: Sequence[str], *, since: datetime) -> set[str]: ...

    async def ingest_channels(self, channels: Sequence[ChannelInput], /) -> Ingested: ...


class RefreshApi(ShortsApi):
    """ShortsApi with what only the worker asks."""

    async def channels_known_since(self, channel_ids: Sequence[str], *, since: datetime) -> set[str]:
        """Those of at most 50 channels whose numbers were collected at `since` or later."""
        query = (
            self.client.supabase.table("cached_channels")
            .select("channel_id")
            .in_("channel_id", list(channel_ids))
            .gte("collected_at", since.isoformat())
        )
        return {row["channel_id"] for row in await self.client.run("cached_channels", query.execute())}


@dataclass
class RefreshReport:
    """What one run did. `quota` is the quota that ended it; what was `released` waits in the queue."""

    calls: int = 0
    claimed: int = 0
    refreshed: int = 0
    gone: int = 0
    left: int = 0
    released: int = 0
    channels: int = 0
    failures: int = 0
    refusals: list[Unusable] = field(default_factory=list)
    refused_count: int = 0
    quota: QuotaSpentError | None = None

    def refuse(self, refusals: Iterable[Unusable]) -> None:
        for refusal in refusals:
            self.refused_count += 1
            if len(self.refusals) < REFUSALS_KEPT:
                self.refusals.append(refusal)


async def refresh_videos(
    api: RefreshTarget,
    youtube: RefreshSource,
    *,
    most: int | None = None,
    with_channels: bool = True,
    on_progress: Callable[[int], None] = lambda done: None,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RefreshReport:
    """Refresh what is due, at most `most` videos, until nothing is due or the quota is spent (`report.quota`).

    A passing failure of the source or the backend gives its fifty back and goes on after a pause; the fifth in a row
    and a refusal are raised. However it ends, what was claimed and not stored is back in the queue.
    """
    report = RefreshReport()
    worker = _Worker(api, youtube, report, sleep=sleep, now=now)
    in_a_row = 0
    while most is None or report.claimed < most:
        wanted = IDS_PER_CALL if most is None else min(IDS_PER_CALL, most - report.claimed)
        claimed = await persist(lambda: api.claim_refreshes(wanted, lease_seconds=LEASE_SECONDS), sleep)  # noqa: B023
        if claimed.lease is None or not claimed.videos:
            break
        report.claimed += len(claimed.videos)
        try:
            await worker.refresh(claimed.lease, claimed.videos)
            if with_channels:
                await worker.refresh_channels(least=IDS_PER_CALL)
            in_a_row = 0
        except QuotaSpentError as error:
            report.quota = error
            return report
        except OndolError as error:
            in_a_row += 1
            report.failures += 1
            if not error.is_transient or in_a_row >= MAX_FAILURES:
                raise
            await sleep(_pause(error, in_a_row))
        on_progress(report.claimed)
    if with_channels:
        try:
            await worker.refresh_channels(least=1)
        except QuotaSpentError as error:
            report.quota = error
    return report


class _Worker:
    """One run: its report, and the channels that it met and has not asked about."""

    def __init__(
        self,
        api: RefreshTarget,
        youtube: RefreshSource,
        report: RefreshReport,
        *,
        sleep: Sleep,
        now: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._youtube = youtube
        self._report = report
        self._sleep = sleep
        self._now = now
        self._channels: dict[str, None] = {}
        self._channels_met: set[str] = set()

    async def refresh(self, lease: UUID, claimed: Sequence[ClaimedVideo]) -> None:
        regions = {video.video_id: video.region for video in claimed}
        async with self._given_back(lease):
            answer = await self._ask(list(regions))
            videos = add_keywords([_in_region(video, regions[video["video_id"]]) for video in answer.found])
            done = await persist(
                lambda: self._api.finish_refreshes(lease, videos=videos, missing=answer.missing), self._sleep
            )
        self._report.refuse(answer.unusable)
        stored = done.stored
        self._report.refuse(Unusable(refused.code, refused.message) for refused in stored.rejected)
        self._report.refreshed += len(videos) - len(stored.rejected)
        self._report.gone += done.gone
        self._report.left += done.left
        for video in videos:
            channel_id = video.get("channel_id")
            if channel_id is not None and channel_id not in self._channels_met:
                self._channels_met.add(channel_id)
                self._channels[channel_id] = None

    async def _ask(self, ids: Sequence[str]) -> VideosAnswer:
        """YouTube's answer; one that would delete many at once is asked for twice before it is believed."""
        answer = await self._youtube.videos(ids)
        self._report.calls += 1
        if len(answer.missing) >= DOUBTFUL and not answer.found:
            answer = await self._youtube.videos(ids)
            self._report.calls += 1
        return answer

    async def refresh_channels(self, *, least: int) -> None:
        """Ask about the channels that were met, fifty a call, those of today left out."""
        while self._channels and len(self._channels) >= least:
            some = list(self._channels)[:IDS_PER_CALL]
            since = self._now() - CHANNEL_AGE
            known = await persist(lambda: self._api.channels_known_since(some, since=since), self._sleep)  # noqa: B023
            for channel_id in known:
                self._channels.pop(channel_id, None)
            wanted = [channel_id for channel_id in some if channel_id not in known]
            if len(self._channels) < least or not wanted:
                continue
            answer = await self._youtube.channels(wanted)
            self._report.calls += 1
            for channel_id in wanted:
                del self._channels[channel_id]
            self._report.refuse(answer.unusable)
            if answer.found:
                stored = await persist(lambda: self._api.ingest_channels(answer.found), self._sleep)  # noqa: B023
                self._report.refuse(Unusable(refused.code, refused.message) for refused in stored.rejected)
                self._report.channels += len(answer.found) - len(stored.rejected)

    @asynccontextmanager
    async def _given_back(self, lease: UUID) -> AsyncIterator[None]:
        """Whatever ends the block early, the lease goes back to the queue; after a crash it runs out by itself."""
        try:
            yield
        except BaseException as error:
            problem, seconds = self._reason(error)
            with suppress(OndolError, TimeoutError):
                async with asyncio.timeout(10):
                    given = await self._api.release_refreshes(lease, problem=problem, retry_after_seconds=seconds)
                    self._report.released += given.released
            raise

    def _reason(self, error: BaseException) -> tuple[str, int]:
        if isinstance(error, QuotaSpentError):
            resets_at = error.values.get("resets_at")
            wait = (resets_at - self._now()).total_seconds() if isinstance(resets_at, datetime) else 0
            return "quota_spent", max(int(wait) + 1, 1)
        if isinstance(error, OndolError):
            return str(error)[:500], int(max(_asked_pause(error), LONGEST_PAUSE_SECONDS))
        return type(error).__name__, 0


def _in_region(video: VideoInput, region: str | None) -> VideoInput:
    return video if region is None else {**video, "region": region}


def _pause(error: OndolError, in_a_row: int) -> float:
    """The longer of what the source asked for, up to a minute, and a pause that doubles."""
    own = FIRST_PAUSE_SECONDS * 2.0 ** (in_a_row - 1)
    return min(max(own, _asked_pause(error)), LONGEST_PAUSE_SECONDS)


def _asked_pause(error: OndolError) -> float:
    asked: object = error.values.get("retry_after_seconds")
    return float(asked) if isinstance(asked, (int, float)) else 0.0
