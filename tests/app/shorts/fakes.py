"""A backend in memory with the interface of ShortsApi that ingest and replay need."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from app.shorts.api import Ingested, Rejection, SignalInput, SignalsInput, TrendRow, VideoInput
from app.shorts.detect import Detection
from app.shorts.freshness import EndedRun, IngestRun, QueuedVideos, RunOutcome


class FakeShorts:
    """Keeps what is sent; `refuse` names the code for a row that the database would reject, `failures` come first."""

    def __init__(self) -> None:
        self.videos: dict[str, VideoInput] = {}
        self.signals: dict[tuple[str, str, str], SignalInput] = {}
        self.batches: list[int] = []
        self.refuse: Callable[[Any], str | None] = lambda row: None
        self.failures: list[Exception] = []
        self.detected: list[tuple[datetime, str | None]] = []
        self.found: dict[datetime, list[TrendRow]] = {}

    async def ingest_videos(self, videos: list[VideoInput]) -> Ingested:
        return self._store(videos, self.videos, lambda video: video["video_id"])

    async def ingest_keyword_signals(self, signals: Sequence[SignalInput | SignalsInput]) -> Ingested:
        def key(signal: SignalInput) -> tuple[str, str, str]:
            return (signal["keyword"], signal["region"], signal["bucket"])

        counts = [(index, item, count) for index, given in enumerate(signals) for item, count in _counts(given)]
        answer = self._store([count for _, _, count in counts], self.signals, key)
        rejected = [
            Rejection(index=counts[each.index][0], item=counts[each.index][1], code=each.code, message=each.message)
            for each in answer.rejected
        ]
        return answer.model_copy(update={"rejected": rejected})

    def _store(self, rows: list[Any], stored: dict[Any, Any], key: Callable[[Any], Any]) -> Ingested:
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(len(rows))
        counts = {"inserted": 0, "updated": 0, "unchanged": 0}
        rejected = []
        for index, row in enumerate(rows):
            if code := self.refuse(row):
                rejected.append(Rejection(index=index, code=code, message=f"refused as {code}"))
                continue
            known = stored.get(key(row))
            counts["inserted" if known is None else "unchanged" if known == row else "updated"] += 1
            stored[key(row)] = row
        return Ingested(received=len(rows), rejected=rejected, **counts)

    async def detect_trends(self, at: datetime, *, region: str | None) -> Detection:
        self.detected.append((at, region))
        found = len(self.found.get(at, []))
        return Detection(at=at, region=region, tested=10, found=found, notified=found)

    async def trending_keywords(self, region: str | None, *, detected_at: datetime) -> list[TrendRow]:
        return self.found[detected_at]


class FakeRuns:
    """Keeps one run, as the database does; `saved` are the states that were saved."""

    def __init__(self) -> None:
        self.request: Mapping[str, Any] | None = None
        self.saved: list[Mapping[str, Any]] = []
        self.outcomes: list[str] = []

    async def begin_ingest_run(self, source: str, *, request: Mapping[str, Any]) -> IngestRun:
        resumed = self.request == request and self.outcomes[-1:] != ["done"]
        if not resumed:
            self.saved = []
        self.request = request
        state = dict(self.saved[-1]) if self.saved else {}
        return IngestRun(id=UUID(int=7), state=state, resumed=resumed, started_at=datetime.now(UTC))

    async def save_ingest_run(self, run: UUID, *, state: Mapping[str, Any]) -> QueuedVideos:
        self.saved.append(json.loads(json.dumps(state)))
        return QueuedVideos(received=0, queued=0, merged=0, fresh=0, rejected=[])

    async def end_ingest_run(self, run: UUID, *, outcome: RunOutcome, counts: Mapping[str, Any]) -> EndedRun:
        json.dumps(counts)
        self.outcomes.append(outcome)
        return EndedRun(id=run, outcome=outcome, ended_at=datetime.now(UTC))


def _counts(given: SignalInput | SignalsInput) -> list[tuple[int | None, SignalInput]]:
    """One count with no place, or each of an hour's with its place in the arrays."""
    if "keyword" in given:
        return [(None, cast(SignalInput, given))]
    hour = given
    return [
        (
            item,
            {
                "keyword": keyword,
                "region": hour["region"],
                "bucket": hour["bucket"],
                "source": hour["source"],
                "mentions": hour["mentions"][item],
                "views": hour["views"][item],
            },
        )
        for item, keyword in enumerate(hour["keywords"])
    ]


def trend(keyword: str, *, at: datetime, score: float = 0.9) -> TrendRow:
    return TrendRow(
        keyword=keyword,
        region_code="KR",
        trend_score=score,
        growth_rate=120.0,
        detected_at=at,
        expires_at=at + timedelta(hours=4),
        data_source="youtube_api",
        search_volume=7,
        z_score=9.2,
        hourly_trend_data=[None, 1, 7],
    )
