"""The strongest trends of a region and a part of the day, whole. For premium and up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from .calls import Caller, Row

__all__ = ["TimeSlot", "TopTrend", "TrendsApi"]

TimeSlot = Literal["night", "morning", "afternoon", "evening"]


class TopTrend(Row):
    """An open trend: scores are 0 to 1, `velocity` is the change of the score per hour, `growth_rate` in per cent.

    `category` is YouTube's name in English. `regional_popularity` has the keys KR, US, JP and global, 0 to 1: 1 is the
    busiest keyword there. `predicted_duration` is how long it should last from its last forecast on.
    """

    keyword: str
    region_code: str
    data_source: str
    trend_score: float
    velocity: float
    growth_rate: float
    search_volume: int
    category: str | None = None
    category_korean: str | None = None
    related_keywords: list[str] | None = None
    regional_popularity: dict[str, float]
    source_confidence: float
    time_slot: TimeSlot
    predicted_peak_time: datetime | None = None
    predicted_duration: timedelta | None = None
    detected_at: datetime
    expires_at: datetime


class TrendsApi(Caller):
    """The part of `ShortsApi` that reads whole trends, for premium and up."""

    async def top_trends(self, region: str = "KR", *, slot: TimeSlot | None = None) -> list[TopTrend]:
        """What trends in `region` now, strongest first, at most 50; empty below premium.

        `slot` keeps those that were detected in a part of the day in Korea: night is 0 to 6, morning 6 to 12, afternoon
        12 to 18, evening 18 to 24 o'clock. Raises InvalidRequestError (PT400) for an unknown region or slot.
        """
        return await self._call("top_trends", {"region": region, "slot": slot}, answer=list[TopTrend])
