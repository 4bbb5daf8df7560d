"""Trends that others observed and tell us: Bright Data, YouTube's charts, a pipeline of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired

from typing_extensions import TypedDict  # of typing, Pydantic reads it from Python 3.12 on

from .batches import Ingested
from .calls import Caller, Row

__all__ = ["ToldTrend", "ToldTrendsApi", "UpsertedTrend"]


class ToldTrend(TypedDict):
    """A trend at `observed_at` (ISO 8601, at most 4 hours ago); `trend_score` and confidence 0 to 1, growth in %."""

    keyword: str
    region_code: str
    data_source: Literal["youtube_api", "bright_data", "internal"]
    trend_score: float
    observed_at: str
    search_volume: NotRequired[int]
    growth_rate: NotRequired[float]
    source_confidence: NotRequired[float]
    category: NotRequired[str]
    related_keywords: NotRequired[list[str]]


class UpsertedTrend(Row):
    """The row that holds the trend now, and whether it is new."""

    id: str
    inserted: bool


class ToldTrendsApi(Caller):
    """The part of `ShortsApi` that keeps what others say trends. For the service."""

    async def upsert_trending_keyword(self, trend: ToldTrend) -> UpsertedTrend:
        """Keep one trend; a repeat changes nothing, older news never overwrites newer.

        Raises InvalidRequestError (PT400) whose `details` name the field that cannot be true.
        """
        return await self._call("upsert_trending_keyword", {"trend": trend}, answer=UpsertedTrend)

    async def upsert_trending_keywords(self, trends: Sequence[ToldTrend]) -> Ingested:
        """Keep at most 5,000 trends; what cannot be taken comes back by index, the others are kept."""
        return await self._call("upsert_trending_keywords", {"trends": list(trends)}, answer=Ingested)
