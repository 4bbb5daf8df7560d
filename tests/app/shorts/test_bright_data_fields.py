"""Each field of Bright Data, and what it becomes; whatever a row holds, it is read or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.shorts.api import VideoInput
from app.shorts.bright_data_fields import ScrapedVideo, posting_signals, scraped_video
from app.shorts.youtube import Unusable
from tests.bright_data_server import scraped_row

NOW = datetime(2026, 7, 10, 6, 0, tzinfo=UTC)


def read(**changes: Any) -> dict[str, Any]:
    found = scraped_video(scraped_row(**changes), read_at=NOW)
    assert isinstance(found, ScrapedVideo), found
    return dict(found.video)


def test_a_whole_row() -> None:
    found = scraped_video(scraped_row(input={"keyword": "김치", "country": "kr"}), read_at=NOW)
    assert isinstance(found, ScrapedVideo)
    assert (found.keyword, found.region) == ("김치", "KR")
    assert found.video == {
        "video_id": "scraped0001",
        "title": "김치 담그는 법 1 #김치",
        "collected_at": "2026-07-10T05:00:00+00:00",
        "keywords": [],
        "description": "배추와 고춧가루",
        "channel_name": "kimchi",
        "channel_id": "UCabcdefghijklmnopqrstuv",
        "duration_seconds": 45,
        "view_count": 3400,
        "like_count": 120,
        "comment_count": 7,
        "thumbnail_url": "https://i.ytimg.com/vi/scraped0001/hq720.jpg",
        "tags": ["김치", "recipe"],
        "published_at": "2026-07-10T03:15:00+00:00",
        "region": "KR",
    }


def test_nothing_of_it_says_that_the_video_plays() -> None:
    row = scraped_row(is_embeddable=True, embeddable=True, privacy_status="public", is_playable=True, upload_status="x")
    found = scraped_video(row, read_at=NOW)
    assert isinstance(found, ScrapedVideo)
    flags = {"is_embeddable", "privacy_status", "upload_status", "is_playable", "live_broadcast", "region_restrictions"}
    assert not flags & found.video.keys()


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://youtube.com/watch?list=x&v=dQw4w9WgXcQ&t=1",
        "https://m." + "youtube.com/shorts/dQw4w9WgXcQ?feature=share",
        "https://www.youtube.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=x",
    ],
)
def test_the_id_comes_from_the_address_when_the_field_has_none(url: str) -> None:
    assert read(video_id=None, url=url)["video_id"] == "dQw4w9WgXcQ"
    assert read(video_id="not an id!", url=url)["video_id"] == "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/watch?v=dQw4w9WgXcQ", "https://youtu.be/", "youtube", "https://[", "", 7, None,
     "https://www.youtube.com/@kimchi", "https://www.youtube.com/watch?v=a%20b"],
)  # fmt: skip
def test_what_leads_to_no_video_is_refused(url: Any) -> None:
    refused = scraped_video(scraped_row(video_id=None, url=url), read_at=NOW)
    assert isinstance(refused, Unusable)
    assert refused.code == "bad_video_id"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(45, 45), (45.4, 45), ("45", 45), ("0:45", 45), ("1:02:03", 3723), ("PT1M5S", 65), (0, 0), (" 2:05 ", 125),
     (-1, None), (True, None), ("1:2", None), ("soon", None), (1e300, None), (float("nan"), None), ([45], None),
     (604_801, None)],
)  # fmt: skip
def test_lengths(given: Any, seconds: int | None) -> None:
    assert read(video_length=given).get("duration_seconds") == seconds


@pytest.mark.parametrize(
    ("given", "count"),
    [(1200, 1200), ("1200", 1200), ("1,200", 1200), ("1.2K", 1200), ("3M", 3_000_000), ("2.5 m", 2_500_000),
     (12.0, 12), ("", None), ("many", None), (-3, None), ("-3", None), (True, None), ("1,20", None), ({}, None),
     (float("inf"), None), ("9" * 400, None), (10**13, None)],
)  # fmt: skip
def test_counts(given: Any, count: int | None) -> None:
    assert read(views=given).get("view_count") == count


@pytest.mark.parametrize(
    ("given", "time"),
    [("2026-07-10T03:15:00.000Z", "2026-07-10T03:15:00+00:00"), ("2026-07-10", "2026-07-10T00:00:00+00:00"),
     ("2026-07-10T12:15:00+09:00", "2026-07-10T03:15:00+00:00"), ("2004-01-01", None), ("2027-01-01", None),
     ("3 days ago", None), (1_700_000_000, None), ("0001-01-01T00:00:00+14:00", None)],
)  # fmt: skip
def test_times(given: Any, time: str | None) -> None:
    assert read(date_posted=given).get("published_at") == time


def test_a_row_without_its_own_time_has_the_readers() -> None:
    assert read(timestamp=None)["collected_at"] == NOW.isoformat()
    assert read(timestamp="2099-01-01T00:00:00Z")["collected_at"] == NOW.isoformat()


def test_only_an_age_limit_is_believed_not_its_absence() -> None:
    assert read(is_age_restricted=True)["is_age_restricted"] is True
    assert "is_age_restricted" not in read(is_age_restricted=False)


def test_tags_of_every_form() -> None:
    assert read(tags="a, b", hashtags="#c #d")["tags"] == ["a", "b", "c", "d"]
    assert read(tags=[{"tag": "x"}, 1, "", "#x"], hashtags=None)["tags"] == ["x"]
    assert "tags" not in read(tags={}, hashtags=[])


def test_texts_are_cut_and_cleaned() -> None:
    found = read(title="가" * 600 + "\x00", description="\ud800x", youtuber="@")
    assert found["title"] == "가" * 500
    assert found["description"] == "x"
    assert "channel_name" not in found


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (None, "not_an_object"),
        ([], "not_an_object"),
        ({}, "bad_video_id"),
        (scraped_row(title=" "), "missing_value"),
        (scraped_row(title=7), "missing_value"),
        ({"error": "Video unavailable", "error_code": "dead_page", "input": {"url": "x"}}, "source_error"),
    ],
)
def test_refusals_are_named(row: Any, code: str) -> None:
    refused = scraped_video(row, read_at=NOW)
    assert isinstance(refused, Unusable)
    assert (refused.code, bool(refused.detail)) == (code, True)


# Fuzz

STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(
        ["#", "@", "1K", "99999999999999999", "0:00", "https://[", "https://youtu.be/aaaaaa", "2026-07-10T00:00:00Z",
         "0001-01-01", "9999-12-31T23:59:59-23:59", "\x00", "\ud800", "PT9999999999S", "²", "１２"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
FIELDS = st.sampled_from([*scraped_row(), "discovery_input", "error", "youtuber_id"])


@settings(deadline=None)
@given(changes=st.dictionaries(FIELDS, STRANGE, max_size=6))
def test_any_row_is_read_or_refused_by_name(changes: dict[str, Any]) -> None:
    found = scraped_video(scraped_row() | changes, read_at=NOW)
    if isinstance(found, Unusable):
        assert found.code in {"bad_video_id", "missing_value", "source_error"}
        return
    video = found.video
    assert 1 <= len(video["title"]) <= 500
    assert video["title"].encode()
    assert 0 <= video.get("duration_seconds", 0) <= 604_800
    assert 0 <= video.get("view_count", 0) <= 10**12
    assert 0 <= video.get("like_count", 0) < 2**31
    for name in ("collected_at", "published_at"):
        assert datetime.fromisoformat(video.get(name, NOW.isoformat())) <= NOW  # type: ignore[arg-type]
    assert list(posting_signals([video], region="KR", now=NOW)) == []  # no keywords yet


@settings(deadline=None)
@given(row=STRANGE)
def test_anything_else_is_refused(row: object) -> None:
    assert isinstance(scraped_video(row, read_at=NOW), Unusable)


# Signals


def posted(video_id: str, at: str, *keywords: str) -> VideoInput:
    return VideoInput(
        video_id=video_id,
        title="x",
        collected_at=NOW.isoformat(),
        published_at=at,
        keywords=[{"keyword": word, "relevance": 1.0, "source": "youtube_api"} for word in keywords],
    )


def test_a_mention_is_a_video_posted_in_the_hour() -> None:
    videos = [
        posted("a", "2026-07-10T03:15:00Z", "김치", "배추"),
        posted("b", "2026-07-10T03:59:59Z", "김치", "김치"),
        posted("c", "2026-07-10T04:00:00Z", "김치"),
    ]
    assert [(s["keyword"], s["bucket"], s["mentions"]) for s in posting_signals(videos, region="KR", now=NOW)] == [
        ("김치", "2026-07-10T03:00:00+00:00", 2),
        ("김치", "2026-07-10T04:00:00+00:00", 1),
        ("배추", "2026-07-10T03:00:00+00:00", 1),
    ]
    [signal] = posting_signals(videos[2:], region="JP", now=NOW)
    assert (signal["source"], signal["region"]) == ("bright_data", "JP")


@pytest.mark.parametrize("at", ["2026-07-10T00:00:00Z", "2026-07-01T05:00:00Z", "2026-07-10T06:00:01Z", ""])
def test_a_day_without_an_hour_and_what_is_long_ago_count_for_none(at: str) -> None:
    assert list(posting_signals([posted("a", at, "김치")], region="KR", now=NOW)) == []
