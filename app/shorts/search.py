"""Search: videos for what somebody typed, keywords while they type, and what nobody could be answered."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from .calls import Caller, Row

__all__ = [
    "CategoryCount",
    "DurationCount",
    "Facets",
    "FoundVideo",
    "FoundVideos",
    "SearchApi",
    "SuggestedKeyword",
    "UnansweredSearch",
]

Mark = tuple[int, int]
"""Start, from 0, and length, in characters."""


class FoundVideo(Row):
    """A video of an answer; `highlights` are the places of its title that were searched for, `duration` is in seconds.

    `quality_score` and `score` are 0 to 1; what the source did not tell is None.
    """

    video_id: str
    title: str
    highlights: list[Mark]
    channel_id: str | None = None
    channel_name: str | None = None
    thumbnail_url: str | None = None
    duration: int | None = None
    view_count: int | None = None
    published_at: datetime | None = None
    category_id: int | None = None
    quality_score: float | None = None
    score: float


class CategoryCount(Row):
    """How many of the videos are of a category; `category_id` is YouTube's number, 0 for those without one."""

    category_id: int
    name: str | None = None
    videos: int


class DurationCount(Row):
    """How many of the videos last `max_duration` seconds or less."""

    max_duration: int
    videos: int


class Facets(Row):
    """What the answer could be narrowed down to."""

    categories: list[CategoryCount]
    durations: list[DurationCount]


class FoundVideos(Row):
    """An answer, best first. `how` it was found; `answered` is the keyword or the correction that was searched for.

    `total` counts all pages, up to a limit: `total_is_exact` says whether that is all. `next_cursor` is for the next
    page, None on the last.
    """

    query: str
    how: Literal["keyword", "title", "synonym", "corrected", "none"]
    answered: str | None = None
    videos: list[FoundVideo]
    facets: Facets | None = None
    total: int
    total_is_exact: bool
    next_cursor: str | None = None


class SuggestedKeyword(Row):
    """A keyword that leads to `videos` Shorts; `highlights` are the places of it that were typed."""

    keyword: str
    videos: int
    highlights: list[Mark]


class UnansweredSearch(Row):
    """What nobody could be answered: `people` on the busiest of `days` days of the last week."""

    query: str
    people: int
    days: int
    last_at: datetime


class SearchApi(Caller):
    """The part of `ShortsApi` that searches; a visitor who is not signed in sees what is well known."""

    async def search_videos(
        self,
        query: str,
        *,
        category_id: int | None = None,
        region: str = "KR",
        max_duration: int | None = None,
        min_quality: float | None = None,
        limit: int = 20,
        cursor: str | None = None,
        facets: bool = True,
    ) -> FoundVideos:
        """Videos that play in `region` for what somebody typed, best first, 1 to 50 a page.

        `max_duration` is in seconds, `min_quality` 0 to 1, `category_id` YouTube's number. `cursor` is the
        `next_cursor` of the page before, with the same question; without `facets` none are counted. The first 20
        without filters come from a kept page. Raises InvalidRequestError (PT400) for what cannot be true.
        """
        return await self._call(
            "search_videos",
            {
                "query": query,
                "category_id": category_id,
                "region": region,
                "max_duration": max_duration,
                "min_quality": min_quality,
                "limit": limit,
                "cursor": cursor,
                "facets": facets,
            },
            answer=FoundVideos,
        )

    async def suggest_keywords(self, prefix: str, *, limit: int = 10) -> list[SuggestedKeyword]:
        """Keywords that begin with what was typed, most popular first, at most 50: 맛, ㅁㅈ and 맛지 find 맛집."""
        return await self._call("suggest_keywords", {"prefix": prefix, "limit": limit}, answer=list[SuggestedKeyword])

    async def unanswered_searches(self, *, limit: int = 50) -> list[UnansweredSearch]:
        """What three people or more searched for on a day of the last week and found nothing. For the service."""
        return await self._call("unanswered_searches", {"limit": limit}, answer=list[UnansweredSearch])
