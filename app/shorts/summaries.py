"""Two summaries that the database computes every hour: one's own month, and the days of each category."""

from __future__ import annotations

from datetime import date, datetime

from .calls import Caller, Row

__all__ = ["Activity", "CategoryDay", "SummariesApi"]


class Activity(Row):
    """One's own last 30 days; `watch_time` is in seconds, `satisfaction` the mean rating, 1 to 5."""

    searches: int
    clicks: int
    watch_time: int
    last_seen: datetime
    satisfaction: float | None = None


class CategoryDay(Row):
    """What trended in a category on a day in Korea; `avg_trend_score` is 0 to 1, keywords are strongest first."""

    trend_date: date
    category: str
    trending_keyword_count: int
    avg_trend_score: float
    top_keywords: list[str]


class SummariesApi(Caller):
    """The part of `ShortsApi` that reads what is computed every hour, for who is signed in."""

    async def my_activity(self) -> Activity | None:
        """One's own last 30 days as of the last full hour; None for who has not searched."""
        found = await self._call("my_activity", {}, answer=list[Activity])
        return found[0] if found else None

    async def category_trends(self, days: int = 7) -> list[CategoryDay]:
        """The last `days` (at most 30) of all categories, newest first; empty below premium."""
        return await self._call("category_trends", {"days": days}, answer=list[CategoryDay])
