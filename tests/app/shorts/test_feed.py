"""What is sent to read a feed, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli.feed import feed_table, reason_text
from app.errors import InvalidRequestError, UnexpectedAnswerError
from app.shorts.feed import Feed, FeedReason, SimilarVideos

from .test_activity import Backend, refused

VIDEO: dict[str, Any] = {
    "video_id": "abc",
    "title": "김치찌개",
    "channel_id": None,
    "channel_name": None,
    "thumbnail_url": None,
    "duration": 30,
    "view_count": 1200,
    "published_at": "2026-07-10T03:00:00+00:00",
    "category_id": 26,
    "quality_score": None,
    "score": 0.75,
}
FEED: dict[str, Any] = {
    "videos": [
        {
            **VIDEO,
            "why": [
                {"reason": "liked_similar", "detail": "된장찌개", "video_id": "def"},
                {"reason": "fresh", "detail": None},
            ],
            "is_exploration": False,
            "propensity": 1.0,
        }
    ],
    "weights_version": "v1",
    "next_cursor": "5a3b1e00-0000-4000-8000-000000000001.20",
}


async def test_s_253_a_page_and_the_next_are_asked_for() -> None:
    """S-253."""
    backend = Backend(personalized_feed=FEED)
    found = await backend.use(lambda api: api.personalized_feed())
    await backend.use(lambda api: api.personalized_feed(5, cursor=found.next_cursor))
    assert backend.asked == [
        ("personalized_feed", {"limit": 20, "cursor": None}),
        ("personalized_feed", {"limit": 5, "cursor": FEED["next_cursor"]}),
    ]
    assert found == Feed.model_validate(FEED)
    assert found.videos[0].why[0].detail == "된장찌개"


async def test_a_refusal_and_another_form_are_named() -> None:
    backend = Backend(personalized_feed=refused(400, "PT400"))
    with pytest.raises(InvalidRequestError):
        await backend.use(lambda api: api.personalized_feed(-1))
    backend = Backend(personalized_feed={**FEED, "videos": None})
    with pytest.raises(UnexpectedAnswerError, match="videos"):
        await backend.use(lambda api: api.personalized_feed())


async def test_similar_videos_are_asked_for_by_id() -> None:
    backend = Backend(similar_videos={"videos": [VIDEO]})
    found = await backend.use(lambda api: api.similar_videos("abc", limit=3, region="US"))
    assert backend.asked == [("similar_videos", {"video_id": "abc", "limit": 3, "region": "US"})]
    assert found == SimilarVideos.model_validate({"videos": [VIDEO]})


def test_reasons_are_said_and_unknown_ones_kept() -> None:
    assert "된장찌개" in reason_text(FeedReason(reason="liked_similar", detail="된장찌개"))
    assert reason_text(FeedReason(reason="of_tomorrow")) == "of_tomorrow"
    assert reason_text(FeedReason(reason="exploration")) != "exploration"
    feed = Feed.model_validate(FEED)
    assert [len(feed_table(feed, why=why).columns) for why in (False, True)] == [3, 4]
