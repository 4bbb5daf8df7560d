"""The queue of videos to refresh and the runs, in memory; nothing is forgotten, so that a test can find every id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from app.errors import UnreachableError
from app.shorts.api import Ingested, Rejection, VideoInput
from app.shorts.channels import ChannelInput
from app.shorts.freshness import (
    ClaimedRefreshes,
    ClaimedVideo,
    EndedRun,
    FinishedRefreshes,
    IngestRun,
    QueuedVideos,
    QueueInput,
    QuotaBucket,
    ReleasedRefreshes,
    RunOutcome,
    RunSource,
    TakenQuota,
)

from .ledgers import FakeLedger

AT = datetime(2026, 7, 10, 12, tzinfo=UTC)


class FakeQueue(FakeLedger):
    """`due` can be claimed; `waiting` was given back; `stored`, `gone` and `rejected` have left the queue.

    `failures` says how many of the next calls of each function lose the backend's answer.
    """

    def __init__(self, ids: Sequence[str] = (), *, region: str | None = None, **limits: int) -> None:
        super().__init__(**limits)
        self.region = region
        self.due = list(ids)
        self.leases: dict[UUID, list[str]] = {}
        self.waiting: dict[str, tuple[str, int]] = {}
        self.stored: dict[str, VideoInput] = {}
        self.gone: list[str] = []
        self.rejected: list[str] = []
        self.channels: list[str] = []
        self.known_channels: set[str] = set()
        self.failures: dict[str, int] = {}
        self.runs: dict[str, IngestRun] = {}
        self.ended: list[tuple[RunOutcome, dict[str, Any]]] = []
        self.queued: list[QueueInput] = []

    def _fail(self, name: str) -> None:
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise UnreachableError("unreachable", url="memory", problem=name)

    async def take_quota(self, bucket: QuotaBucket, units: int) -> TakenQuota:
        self._fail("take_quota")
        return await super().take_quota(bucket, units)

    async def claim_refreshes(self, most: int, *, lease_seconds: int) -> ClaimedRefreshes:
        self._fail("claim_refreshes")
        claimed, self.due = self.due[:most], self.due[most:]
        if not claimed:
            return ClaimedRefreshes(lease=None, videos=[])
        lease = uuid4()
        self.leases[lease] = claimed
        videos = [
            ClaimedVideo(video_id=item, reason="expiring", attempts=0, region=self.region, keywords=[])
            for item in claimed
        ]
        return ClaimedRefreshes(lease=lease, videos=videos)

    async def finish_refreshes(
        self, lease: UUID, videos: Sequence[VideoInput], missing: Sequence[str]
    ) -> FinishedRefreshes:
        held = self.leases.pop(lease, [])
        rejections = []
        for index, video in enumerate(videos):
            if len(video["title"]) > 500:
                rejections.append(Rejection(index=index, code="ON004", message="title is longer than 500 characters"))
                self.rejected.append(video["video_id"])
            else:
                self.stored[video["video_id"]] = video
        self.gone += [item for item in missing if item in held]
        answered = {video["video_id"] for video in videos} | set(missing)
        left = [item for item in held if item not in answered]
        self.waiting.update(dict.fromkeys(left, ("left", 60)))
        self._fail("finish_refreshes")
        count = len(videos) - len(rejections)
        stored = Ingested(received=len(videos), inserted=count, updated=0, unchanged=0, rejected=rejections)
        return FinishedRefreshes(stored=stored, gone=len(missing), left=len(left))

    async def release_refreshes(self, lease: UUID, *, problem: str, retry_after_seconds: int) -> ReleasedRefreshes:
        held = self.leases.pop(lease, [])
        self.waiting.update(dict.fromkeys(held, (problem, retry_after_seconds)))
        return ReleasedRefreshes(released=len(held))

    async def channels_known_since(self, channel_ids: Sequence[str], *, since: datetime) -> set[str]:
        return self.known_channels & set(channel_ids)

    async def ingest_channels(self, channels: Sequence[ChannelInput]) -> Ingested:
        self.channels += [channel["channel_id"] for channel in channels]
        return Ingested(received=len(channels), inserted=len(channels), updated=0, unchanged=0, rejected=[])

    async def begin_ingest_run(self, source: RunSource, request: Mapping[str, Any]) -> IngestRun:
        name = f"{source} {sorted(request.items())}"
        known = self.runs.get(name)
        run = IngestRun(
            id=known.id if known else uuid4(),
            state=known.state if known else {},
            resumed=known is not None,
            started_at=AT,
        )
        self.runs[name] = run
        return run

    async def save_ingest_run(self, run: UUID, state: Mapping[str, Any], videos: Sequence[QueueInput]) -> QueuedVideos:
        self._fail("save_ingest_run")
        for name, known in self.runs.items():
            if known.id == run:
                self.runs[name] = known.model_copy(update={"state": dict(state)})
        self.queued += videos
        return QueuedVideos(received=len(videos), queued=len(videos), merged=0, fresh=0, rejected=[])

    async def end_ingest_run(self, run: UUID, outcome: RunOutcome, counts: Mapping[str, Any]) -> EndedRun:
        self.ended.append((outcome, dict(counts)))
        if outcome == "done":
            self.runs = {name: known for name, known in self.runs.items() if known.id != run}
        return EndedRun(id=run, outcome=outcome, ended_at=AT)
