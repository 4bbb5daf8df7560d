"""A backend in memory with the interface of ShortsApi that ingest and replay need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.shorts.api import Detection, Ingested, Rejection, SignalInput, TrendRow, VideoInput


class FakeShorts:
    """Keeps what is sent; `refuse` names the code for a row that the database would reject, `failures` come first."""

    def __init__(self) -> None:
        self.videos: dict[str, VideoInput] = {}
        self.signals: dict[tuple[str, str, str], SignalInput] = {}
        self.batches: list[int] = []
        self.refuse: Callable[[Any], str | None] = lambda row: None
        self.failures: list[Exception] = []
        self.detected: list[tuple[datetime, str]] = []
        self.found: dict[datetime, list[TrendRow]] = {}

    async def ingest_videos(self, videos: list[VideoInput]) -> Ingested:
        return self._store(videos, self.videos, lambda video: video["video_id"])

    async def ingest_keyword_signals(self, signals: list[SignalInput]) -> Ingested:
        def key(signal: SignalInput) -> tuple[str, str, str]:
            return (signal["keyword"], signal["region"], signal["bucket"])

        return self._store(signals, self.signals, key)

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

    async def detect_trends(self, at: datetime, *, region: str) -> Detection:
        self.detected.append((at, region))
        found = len(self.found.get(at, []))
        return Detection(at=at, region=region, tested=10, found=found, notified=found)

    async def trending_keywords(self, region: str, *, detected_at: datetime) -> list[TrendRow]:
        return self.found[detected_at]


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
