"""One's own feed, with the reasons of each video, and videos that are like one."""

from __future__ import annotations

from datetime import datetime

from .calls import Caller, Row

__all__ = ["Feed", "FeedApi", "FeedReason", "FeedVideo", "SimilarVideo", "SimilarVideos"]


class SimilarVideo(Row):
    """A video to show; `duration` is in seconds, `score` at most 1; what the source did not tell is None."""

    video_id: str
    title: str
    channel_id: str | None = None
    channel_name: str | None = None
    thumbnail_url: str | None = None
    duration: int | None = None
    view_count: int | None = None
    published_at: datetime | None = None
    category_id: int | None = None
    quality_score: float | None = None
    score: float


class SimilarVideos(Row):
    """The most similar first."""

    videos: list[SimilarVideo]


class FeedReason(Row):
    """Why a video is there.

    `reason` is `liked_similar` (`detail` is the title of the video that was watched, `video_id` its id), `keyword`,
    `trending`, `category` (`category_id` is its number), `mood`, `popular`, `fresh` or `exploration`; a newer backend
    may name others.
    """

    reason: str
    detail: str | None = None
    video_id: str | None = None
    category_id: int | None = None


class FeedVideo(SimilarVideo):
    """A video of a feed, the strongest reason first; `propensity` is the chance that it had of being shown, 0 to 1."""

    why: list[FeedReason]
    is_exploration: bool
    propensity: float


class Feed(Row):
    """A page of a feed; `next_cursor` is None on the last one."""

    videos: list[FeedVideo]
    weights_version: str
    next_cursor: str | None = None


class FeedApi(Caller):
    """The part of `ShortsApi` that says what to show."""

    async def personalized_feed(self, limit: int = 20, *, cursor: str | None = None) -> Feed:
        """A page of 1 to 50 videos for who is signed in; `cursor` is the page before's `next_cursor`.

        Raises InvalidRequestError (PT400) for another limit and for a cursor that is not this person's or is older than
        a day, NotAllowedError (42501, PT403) for who is not signed in.
        """
        return await self._call("personalized_feed", {"limit": limit, "cursor": cursor}, answer=Feed)

    async def similar_videos(self, video_id: str, *, limit: int = 20, region: str = "KR") -> SimilarVideos:
        """At most 50 Shorts like this one that play in `region`; raises NotFoundError (PT404) for an unknown video."""
        arguments = {"video_id": video_id, "limit": limit, "region": region}
        return await self._call("similar_videos", arguments, answer=SimilarVideos)
