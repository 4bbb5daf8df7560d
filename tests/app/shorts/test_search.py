"""What is sent to search, what comes back, and how the command shows it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from app.cli.search import marked_title, videos_table
from app.errors import UnexpectedAnswerError
from app.shorts.search import FoundVideo, FoundVideos, SuggestedKeyword, UnansweredSearch

from .test_activity import Backend

VIDEO: dict[str, Any] = {
    "video_id": "abcdefghijk",
    "title": "서울 맛집 [bold]투어[/bold]",
    "highlights": [[3, 2]],
    "channel_id": "UCx",
    "channel_name": "채널",
    "thumbnail_url": None,
    "duration": 30,
    "view_count": 12345,
    "published_at": "2026-07-10T03:00:00+00:00",
    "category_id": 24,
    "quality_score": 0.8,
    "score": 0.5,
}
ANSWER: dict[str, Any] = {
    "query": "맛집",
    "how": "keyword",
    "answered": "맛집",
    "videos": [VIDEO],
    "facets": {
        "categories": [{"category_id": 24, "name": "Entertainment", "videos": 1}],
        "durations": [{"max_duration": 60, "videos": 1}],
    },
    "total": 1000,
    "total_is_exact": False,
    "next_cursor": "x",
}


async def test_without_words_it_is_the_page_that_is_kept() -> None:
    backend = Backend(search_videos=ANSWER)
    found = await backend.use(lambda api: api.search_videos("맛집"))
    asked = {
        "query": "맛집",
        "category_id": None,
        "region": "KR",
        "max_duration": None,
        "min_quality": None,
        "limit": 20,
        "cursor": None,
        "facets": True,
    }
    assert backend.asked == [("search_videos", asked)]
    assert found == FoundVideos.model_validate(ANSWER)
    assert found.videos[0].highlights == [(3, 2)]
    assert found.facets is not None
    assert found.facets.categories[0].name == "Entertainment"


async def test_every_filter_is_sent() -> None:
    backend = Backend(search_videos=ANSWER | {"how": "none", "videos": [], "facets": None, "next_cursor": None})
    sent = {
        "category_id": 24,
        "region": "US",
        "max_duration": 60,
        "min_quality": 0.5,
        "limit": 5,
        "cursor": "c",
        "facets": False,
    }
    found = await backend.use(lambda api: api.search_videos("맛집", **sent))  # type: ignore[arg-type]
    assert backend.asked == [("search_videos", {"query": "맛집", **sent})]
    assert found.facets is None


async def test_suggestions_and_what_was_not_answered() -> None:
    suggested = {"keyword": "맛집", "videos": 3, "highlights": [[0, 1]]}
    unanswered = {"query": "없는말", "people": 3, "days": 1, "last_at": "2026-07-10T03:00:00+00:00"}
    backend = Backend(suggest_keywords=[suggested], unanswered_searches=[unanswered])
    assert await backend.use(lambda api: api.suggest_keywords("맛")) == [SuggestedKeyword.model_validate(suggested)]
    found = await backend.use(lambda api: api.unanswered_searches(limit=9))
    assert found == [UnansweredSearch.model_validate(unanswered)]
    assert backend.asked == [
        ("suggest_keywords", {"prefix": "맛", "limit": 10}),
        ("unanswered_searches", {"limit": 9}),
    ]


async def test_another_form_of_answer_is_named() -> None:
    backend = Backend(search_videos=ANSWER | {"how": "magic"})
    with pytest.raises(UnexpectedAnswerError, match="how"):
        await backend.use(lambda api: api.search_videos("맛집"))


def shown_by(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_marks_what_was_searched_for_and_takes_no_title_for_markup() -> None:
    title = marked_title(FoundVideo.model_validate(VIDEO))
    assert [(span.start, span.end) for span in title.spans] == [(3, 5)]
    console = Console(width=160, file=StringIO())
    console.print(videos_table(FoundVideos.model_validate(ANSWER)))
    shown = shown_by(console)
    for part in ("서울 맛집 [bold]투어[/bold]", "12,345", "0.500", "abcdefghijk", "1,000+"):
        assert part in shown


def test_what_the_source_did_not_tell_is_left_empty() -> None:
    bare = VIDEO | dict.fromkeys(("channel_name", "duration", "view_count"))
    console = Console(width=160, file=StringIO())
    console.print(videos_table(FoundVideos.model_validate(ANSWER | {"videos": [bare], "total_is_exact": True})))
    assert "1,000 " in shown_by(console)
    assert "None" not in shown_by(console)
