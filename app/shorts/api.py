"""The shorts room's API: one typed async method per SQL function, under the same name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Field

from .activity import ActivityApi
from .batches import Ingested as Ingested  # offered here too, where it was
from .batches import Rejection as Rejection
from .calls import Row, checked
from .channels import ChannelsApi
from .detect import DetectApi
from .feed import FeedApi
from .forecast import ForecastApi
from .freshness import FreshnessApi
from .notifications import NotificationsApi
from .quality import QualityApi
from .search import SearchApi
from .summaries import SummariesApi
from .surges import SurgesApi
from .told_trends import ToldTrendsApi
from .trends import TrendsApi
from .vectors import VectorsApi
from .webhooks import WebhooksApi

__all__ = [
    "KeywordInput",
    "RegionLists",
    "ShortsApi",
    "SignalInput",
    "SignalsInput",
    "Trend",
    "TrendNews",
    "TrendRow",
    "VideoInput",
]

IDS_PER_QUERY = 200  # they stand in an address, which should stay below 8 kB

SignalSource = Literal["youtube_api", "bright_data", "internal"]


class KeywordInput(TypedDict):
    """`relevance` is between 0 and 1; `rank` is the video's place in the source's answer to the keyword, from 1."""

    keyword: str
    relevance: float
    source: Literal["youtube_api", "ai_analysis", "user_feedback"]
    rank: NotRequired[int]


class RegionLists(TypedDict):
    """Where a video plays: YouTube sends one list or the other, or none."""

    allowed: NotRequired[list[str]]
    blocked: NotRequired[list[str]]


class VideoInput(TypedDict):
    """One video for `ingest_videos`; times are ISO 8601, what is left out keeps what is known."""

    video_id: str
    title: str
    collected_at: str
    keywords: list[KeywordInput]
    description: NotRequired[str]
    channel_id: NotRequired[str]
    channel_name: NotRequired[str]
    published_at: NotRequired[str]
    duration_seconds: NotRequired[int]
    category_id: NotRequired[int]
    view_count: NotRequired[int]
    like_count: NotRequired[int]
    comment_count: NotRequired[int]
    region: NotRequired[str]
    privacy_status: NotRequired[str]
    upload_status: NotRequired[str]
    live_broadcast: NotRequired[str]
    is_embeddable: NotRequired[bool]
    is_age_restricted: NotRequired[bool]
    is_playable: NotRequired[bool]
    region_restrictions: NotRequired[RegionLists]
    thumbnail_url: NotRequired[str]
    tags: NotRequired[list[str]]


class SignalInput(TypedDict):
    """How often a keyword was seen in the hour that `bucket` (ISO 8601) lies in."""

    keyword: str
    region: str
    bucket: str
    source: SignalSource
    mentions: int
    views: NotRequired[int]


class SignalsInput(TypedDict):
    """The counts of many keywords in one hour and region: arrays of one length."""

    region: str
    bucket: str
    source: SignalSource
    keywords: list[str]
    mentions: list[int]
    views: NotRequired[list[int]]


class VideoId(Row):
    """Which video a row is about."""

    video_id: str


class Trend(Row):
    """What everybody may know of a trend; `trend_score` is 0 to 1, `growth_rate` is in per cent.

    As news it has its place in their order, `cursor`, and what happened to it, `change`.
    """

    keyword: str
    region_code: str
    trend_score: float
    growth_rate: float
    detected_at: datetime
    expires_at: datetime | None = None
    cursor: int | None = None
    change: Literal["inserted", "updated"] | None = None


class TrendRow(Trend):
    """The full row, for the service and for premium users: how sure it is, and mentions in 24 hours, oldest first."""

    data_source: str
    search_volume: int
    z_score: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    model_version: str | None = None
    hourly_trend_data: list[float | None]


AnyTrend = Annotated[TrendRow | Trend, Field(union_mode="left_to_right")]


class TrendNews(Row):
    """What was new after a cursor, in order; `cursor` is where to go on, `newest` where the news end for now.

    `missed` says that news after the cursor are no longer kept, or that the cursor is not of this database.
    """

    trends: list[AnyTrend]
    cursor: int
    newest: int
    is_complete: bool
    missed: bool


class ShortsApi(
    ActivityApi,
    ChannelsApi,
    DetectApi,
    FeedApi,
    ForecastApi,
    FreshnessApi,
    NotificationsApi,
    QualityApi,
    SearchApi,
    SummariesApi,
    SurgesApi,
    ToldTrendsApi,
    TrendsApi,
    VectorsApi,
    WebhooksApi,
):
    """The shorts room through `client`; ingest and detect need a client with the secret key."""

    async def ingest_videos(self, videos: Sequence[VideoInput]) -> Ingested:
        """Store at most 5,000 videos; repeating a batch changes nothing, older news never overwrites newer."""
        return await self._call("ingest_videos", {"videos": list(videos)}, answer=Ingested)

    async def ingest_keyword_signals(self, signals: Sequence[SignalInput | SignalsInput]) -> Ingested:
        """Set hourly counts: at most 5,000 elements and 50,000 counts; repeating a batch changes nothing."""
        return await self._call("ingest_keyword_signals", {"signals": list(signals)}, answer=Ingested)

    async def trending_now(self, region: str = "KR", *, limit: int = 10) -> list[Trend]:
        """What trends in `region` now, strongest first, at most 50; for everybody."""
        return await self._call("trending_now", {"region": region, "limit": limit}, answer=list[Trend])

    async def trends_since(self, cursor: int | None = None, *, limit: int = 100) -> TrendNews:
        """At most `limit` trends that were new or changed after `cursor`, whole ones for premium and the service.

        Without a cursor: no trends, and the cursor to begin with. Raises InvalidRequestError (PT400) for what is none.
        """
        return await self._call("trends_since", {"cursor": cursor, "limit": limit}, answer=TrendNews)

    async def known_videos(self, video_ids: Sequence[str]) -> set[str]:
        """Those of `video_ids` that the cache holds, whether or not they play. For the service."""
        known: set[str] = set()
        for start in range(0, len(video_ids), IDS_PER_QUERY):
            wanted = list(video_ids[start : start + IDS_PER_QUERY])
            query = self.client.supabase.table("cached_videos").select("video_id").in_("video_id", wanted)
            rows = checked(await self.client.run("cached_videos", query.execute()), list[VideoId], "cached_videos")
            known.update(row.video_id for row in rows)
        return known

    async def trending_keywords(self, region: str | None, *, detected_at: datetime) -> list[TrendRow]:
        """The full rows of the table for one run of detection (None: everywhere), strongest first."""
        query = (
            self.client.supabase.table("trending_keywords")
            .select(",".join(name for name in TrendRow.model_fields if name not in ("cursor", "change")))
            .eq("detected_at", detected_at.isoformat())
            .order("trend_score", desc=True)
            .order("keyword")
        )
        if region is not None:
            query = query.eq("region_code", region)
        return checked(await self.client.run("trending_keywords", query.execute()), list[TrendRow], "trending_keywords")
