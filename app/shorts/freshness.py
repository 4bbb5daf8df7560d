"""Keeping the cache true: quotas of the sources, the queue of videos to look up, runs that go on. For the service.

Every number of seconds is whole; times in answers are aware of their zone. See docs/refresh.md for how it works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from .batches import Ingested, Rejection
from .calls import Caller, Row

if TYPE_CHECKING:
    # These modules build on this one: api.py completes the answers that name its models.
    from .api import VideoInput

__all__ = [
    "CacheState",
    "ClaimedRefreshes",
    "ClaimedVideo",
    "EndedRun",
    "FinishedRefreshes",
    "FreshnessApi",
    "IngestRun",
    "IngestStatus",
    "QueueInput",
    "QueueState",
    "QueuedKeyword",
    "QueuedVideos",
    "QuotaState",
    "ReleasedRefreshes",
    "RunSummary",
    "TakenQuota",
]

QuotaBucket = Literal["youtube_search", "youtube_units"]
RunSource = Literal["youtube", "bright_data", "dataset", "refresh"]
RunOutcome = Literal["done", "failed", "interrupted"]


class QueueInput(TypedDict):
    """A video to look up; `rank` (1 to 1,000) is its place in the source's answer to `keyword`, `region` ISO 3166."""

    video_id: str
    reason: Literal["discovered", "requested"]
    keyword: NotRequired[str]
    rank: NotRequired[int]
    region: NotRequired[str]


class QuotaState(Row):
    """A quota today, a day in California; units are calls for youtube_search."""

    bucket: str
    used: int
    daily_limit: int
    resets_at: datetime


class TakenQuota(QuotaState):
    """A quota after it was asked: `granted` is whether the call may be made."""

    granted: bool


class QueuedVideos(Row):
    """What became of a batch: received = queued + merged + fresh + rejected.

    `merged` rows were queued already, or stood in the batch before; `fresh` ones were collected within the hour.
    """

    received: int
    queued: int
    merged: int
    fresh: int
    rejected: list[Rejection]


class QueuedKeyword(Row):
    """What was searched for when the video was found, and its place in that answer from 1, if known."""

    keyword: str
    rank: int | None = None


class ClaimedVideo(Row):
    """A video in hand; `attempts` are the earlier ones that were in vain."""

    video_id: str
    reason: Literal["player_error", "requested", "discovered", "expiring", "unknown"]
    attempts: int
    region: str | None = None
    keywords: list[QueuedKeyword]


class ClaimedRefreshes(Row):
    """Videos in hand under one lease, the most urgent first; nothing is due when `lease` is None."""

    lease: UUID | None
    videos: list[ClaimedVideo]


class FinishedRefreshes(Row):
    """What an answer of the source came to: `gone` ids exist no more, `left` ones went back into the queue."""

    stored: Ingested
    gone: int
    left: int


class ReleasedRefreshes(Row):
    """How many videos went back into the queue."""

    released: int


class IngestRun(Row):
    """A run that has begun, or goes on from `state` when `resumed`."""

    id: UUID
    state: dict[str, Any]
    resumed: bool
    started_at: datetime


class EndedRun(Row):
    """How a run ended, and when."""

    id: UUID
    outcome: RunOutcome
    ended_at: datetime


class QueueState(Row):
    """The queue in numbers: `due` ones can be claimed, `leased` ones are in hand, `waiting` ones are for later."""

    due: int
    leased: int
    waiting: int
    by_reason: dict[str, int]
    oldest_due_at: datetime | None = None


class CacheState(Row):
    """The cache in numbers of videos. Those that are deleted or purged do not count as kept, nor as expired.

    `shorts` are those that play; `unknown` ones lack the flags that say whether they play; `taken_out` ones failed for
    people; `purge_due` ones were collected more than 30 days ago.
    """

    videos: int
    playable: int
    shorts: int
    expire_in_24h: int
    expired: int
    unknown: int
    taken_out: int
    deleted: int
    purge_due: int


class RunSummary(Row):
    """One of the last runs; `outcome` is None while it runs, or when nobody was left to say."""

    id: UUID
    source: RunSource
    request: dict[str, Any]
    outcome: RunOutcome | None = None
    counts: dict[str, Any]
    started_at: datetime
    saved_at: datetime
    ended_at: datetime | None = None


class IngestStatus(Row):
    """How ingest is doing."""

    quotas: list[QuotaState]
    queue: QueueState
    cache: CacheState
    runs: list[RunSummary]


class FreshnessApi(Caller):
    """The part of `ShortsApi` that keeps the cache true; it needs a client with the secret key."""

    async def take_quota(self, bucket: QuotaBucket, *, units: int = 1) -> TakenQuota:
        """Count `units` of today's quota, all or none, before the call that costs them.

        Raises NotFoundError (PT404) for an unknown bucket, InvalidRequestError (PT400) for less than one unit.
        """
        return await self._call("take_quota", {"bucket": bucket, "units": units}, answer=TakenQuota)

    async def close_quota(self, bucket: QuotaBucket) -> TakenQuota:
        """Note that the source itself calls the day's quota spent: nothing more is granted until `resets_at`.

        Raises NotFoundError (PT404) for an unknown bucket.
        """
        return await self._call("close_quota", {"bucket": bucket}, answer=TakenQuota)

    async def queue_videos(self, videos: Sequence[QueueInput]) -> QueuedVideos:
        """Queue at most 5,000 videos to be looked up; one that is queued already gets the new keyword."""
        return await self._call("queue_videos", {"videos": list(videos)}, answer=QueuedVideos)

    async def claim_refreshes(self, most: int = 50, *, lease_seconds: int = 300) -> ClaimedRefreshes:
        """Take the `most` (1 to 500) urgent videos in hand for `lease_seconds` (1 to 3,600).

        What is neither finished nor released by then can be claimed again. Raises InvalidRequestError (PT400).
        """
        arguments = {"most": most, "lease_seconds": lease_seconds}
        return await self._call("claim_refreshes", arguments, answer=ClaimedRefreshes)

    async def finish_refreshes(
        self, lease: UUID, *, videos: Sequence[VideoInput], missing: Sequence[str] = ()
    ) -> FinishedRefreshes:
        """Store what the source answered for the lease, in one transaction; repeating it changes nothing.

        `missing` are the ids that the source does not know any more. Ids of the lease in neither are given back.
        """
        arguments = {"lease": str(lease), "videos": list(videos), "missing": list(missing)}
        return await self._call("finish_refreshes", arguments, answer=FinishedRefreshes)

    async def release_refreshes(self, lease: UUID, *, problem: str, retry_after_seconds: int = 60) -> ReleasedRefreshes:
        """Give the lease's videos back: due after `retry_after_seconds`, doubled at each attempt, at most 6 hours."""
        arguments = {"lease": str(lease), "problem": problem, "retry_after_seconds": retry_after_seconds}
        return await self._call("release_refreshes", arguments, answer=ReleasedRefreshes)

    async def begin_ingest_run(self, source: RunSource, *, request: Mapping[str, Any]) -> IngestRun:
        """Begin a run, or go on with the one of the last 24 hours that asked the same and was not done.

        Raises InvalidRequestError: PT400 for an unknown source, PT413 for a `request` above 1,000,000 characters.
        """
        return await self._call("begin_ingest_run", {"source": source, "request": dict(request)}, answer=IngestRun)

    async def save_ingest_run(
        self, run: UUID, *, state: Mapping[str, Any], videos: Sequence[QueueInput] = ()
    ) -> QueuedVideos:
        """Store how far the run got and queue the videos it found (at most 5,000), both or neither.

        Raises NotFoundError (PT404) for an unknown run, InvalidRequestError (PT413) for too long a state.
        """
        arguments = {"id": str(run), "state": dict(state), "videos": list(videos)}
        return await self._call("save_ingest_run", arguments, answer=QueuedVideos)

    async def end_ingest_run(self, run: UUID, *, outcome: RunOutcome, counts: Mapping[str, Any]) -> EndedRun:
        """Note what came of the run; one that failed or was interrupted can be begun again.

        Raises NotFoundError (PT404) for an unknown run.
        """
        arguments = {"id": str(run), "outcome": outcome, "counts": dict(counts)}
        return await self._call("end_ingest_run", arguments, answer=EndedRun)

    async def ingest_status(self) -> IngestStatus:
        """Quotas of today, the queue, how true the cache is, and the last ten runs, the newest first."""
        return await self._call("ingest_status", {}, answer=IngestStatus)
