"""What a resource of YouTube says, without any server."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.shorts.youtube import Unusable, channel_input, duration_seconds, video_input
from tests.youtube_server.server import resource

AT = "2026-07-10T00:00:00+00:00"


def video(**parts: dict[str, Any]) -> dict[str, Any]:
    made = resource("video")
    for name, part in parts.items():
        made[name] = {**made[name], **part}
    return made


def read(**parts: dict[str, Any]) -> dict[str, Any]:
    answer = video_input(video(**parts), collected_at=AT)
    assert not isinstance(answer, Unusable)
    return dict(answer)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT58S", 58),
        ("PT1M5S", 65),
        ("PT3M", 180),
        ("PT1H", 3600),
        ("PT2H3M4S", 7384),
        ("P1DT1S", 86_401),
        ("P1W", 604_800),
        ("PT0S", 0),
        ("P0D", 0),
        ("PT90S", 90),
        ("PT", None),
        ("P", None),
        ("", None),
        ("58", None),
        ("PT1.5S", None),
        ("PT-5S", None),
        ("pt5s", None),
        ("PT٥S", None),
        ("PT5S\n", None),
        ("PT1S1M", None),
    ],
)
def test_durations_are_iso_8601_s_264(text: str, seconds: int | None) -> None:
    """S-264: contentDetails.duration becomes seconds; what is no duration is none."""
    assert duration_seconds(text) == seconds


def test_the_whole_resource_becomes_the_rooms_input() -> None:
    """S-264: every fact of the four parts, under our names."""
    assert read() == {
        "video_id": "short000001",
        "title": "온돌 위의 고양이 #고양이 #shorts",
        "collected_at": AT,
        "keywords": [],
        "description": "따뜻한 방바닥을 찾은 고양이.",
        "channel_id": "UCmadeupchannel000000001",
        "channel_name": "온돌방",
        "published_at": "2026-07-01T09:30:00Z",
        "live_broadcast": "none",
        "category_id": 15,
        "thumbnail_url": "https://i.ytimg.com/vi/short000001/hqdefault.jpg",
        "tags": ["고양이", "온돌"],
        "duration_seconds": 58,
        "is_age_restricted": False,
        "region_restrictions": {},
        "privacy_status": "public",
        "upload_status": "processed",
        "is_embeddable": True,
        "view_count": 15000,
        "like_count": 900,
        "comment_count": 41,
    }


@pytest.mark.parametrize(
    ("parts", "name", "value"),
    [
        ({"status": {"embeddable": False}}, "is_embeddable", False),
        ({"status": {"privacyStatus": "unlisted"}}, "privacy_status", "unlisted"),
        ({"status": {"privacyStatus": "private"}}, "privacy_status", "private"),
        ({"status": {"uploadStatus": "rejected"}}, "upload_status", "rejected"),
        ({"contentDetails": {"contentRating": {"ytRating": "ytAgeRestricted"}}}, "is_age_restricted", True),
        ({"contentDetails": {"contentRating": {"kmrbRating": "kmrb15plus"}}}, "is_age_restricted", False),
        ({"snippet": {"liveBroadcastContent": "upcoming"}}, "live_broadcast", "upcoming"),
        ({"snippet": {"liveBroadcastContent": "live"}}, "live_broadcast", "live"),
        (
            {"contentDetails": {"regionRestriction": {"blocked": ["KR", "JP"]}}},
            "region_restrictions",
            {"blocked": ["KR", "JP"]},
        ),
        ({"contentDetails": {"regionRestriction": {"allowed": ["US"]}}}, "region_restrictions", {"allowed": ["US"]}),
        ({"contentDetails": {"regionRestriction": {"allowed": []}}}, "region_restrictions", {"allowed": []}),
        ({"contentDetails": {"regionRestriction": {"blocked": []}}}, "region_restrictions", {"blocked": []}),
        ({"contentDetails": {"duration": "PT3M1S"}}, "duration_seconds", 181),
        ({"contentDetails": {"duration": "P0D"}}, "duration_seconds", 0),
        ({"snippet": {"categoryId": "x"}}, "category_id", None),
        ({"snippet": {"tags": ["a", 5, None]}}, "tags", ["a"]),
        ({"snippet": {"thumbnails": []}}, "thumbnail_url", None),
        ({"statistics": {"viewCount": "-1"}}, "view_count", None),
        ({"statistics": {"likeCount": None}}, "like_count", None),
        ({"statistics": {"commentCount": 7}}, "comment_count", 7),
    ],
)
def test_facts_of_playability_are_read_as_youtube_writes_them(parts: dict[str, Any], name: str, value: object) -> None:
    """S-264, S-033: embeddable, privacy, upload status, age, live and both region lists, empty ones too."""
    assert read(**parts).get(name) == value


@pytest.mark.parametrize(
    ("given_resource", "code"),
    [
        (None, "not_an_object"),
        ([], "not_an_object"),
        ({}, "bad_video_id"),
        ({"id": 5}, "bad_video_id"),
        ({"id": "a b"}, "bad_video_id"),
        ({"id": "x" * 21}, "bad_video_id"),
        ({"id": "short000001"}, "missing_value"),
        (video(snippet={"title": "  "}), "missing_value"),
        (video(contentDetails={"duration": "soon"}), "bad_duration"),
    ],
)
def test_an_unusable_video_is_named(given_resource: object, code: str) -> None:
    answer = video_input(given_resource, collected_at=AT)
    assert isinstance(answer, Unusable)
    assert answer.code == code


def test_parts_that_were_not_asked_for_are_left_out() -> None:
    answer: Any = video_input({"id": "short000001", "snippet": {"title": "x"}}, collected_at=AT)
    assert answer == {"video_id": "short000001", "title": "x", "collected_at": AT, "keywords": []}


def test_a_channel_becomes_the_rooms_input() -> None:
    assert channel_input(resource("channel"), collected_at=AT) == {
        "channel_id": "UCmadeupchannel000000001",
        "title": "온돌방",
        "collected_at": AT,
        "subscriber_count": 51_200,
        "video_count": 212,
        "total_view_count": 7_300_000,
        "content_language": "ko",
        "thumbnail_url": "https://i.ytimg.com/made-up/channel.jpg",
        "published_at": "2021-03-01T00:00:00Z",
    }


def test_hidden_subscribers_are_not_zero_subscribers() -> None:
    made = resource("channel")
    made["statistics"].update(hiddenSubscriberCount=True, subscriberCount="0")
    answer = channel_input(made, collected_at=AT)
    assert not isinstance(answer, Unusable)
    assert "subscriber_count" not in answer


@pytest.mark.parametrize(
    ("given_resource", "code"),
    [
        (7, "not_an_object"),
        ({"id": None}, "bad_channel_id"),
        ({"id": "UC,UC"}, "bad_channel_id"),
        ({"id": "UCx", "snippet": {"title": ""}}, "missing_value"),
    ],
)
def test_an_unusable_channel_is_named(given_resource: object, code: str) -> None:
    answer = channel_input(given_resource, collected_at=AT)
    assert isinstance(answer, Unusable)
    assert answer.code == code


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a resource."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, part in inner for found in places(part, (*path, name)))]


def mutated(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = mutated(changed[path[0]], path[1:], new)
    return changed


def named(answer: object) -> bool:
    """Either an input that JSON can carry, or a refusal with a code and a short detail."""
    if isinstance(answer, Unusable):
        return bool(answer.code) and len(answer.detail) < 120
    assert isinstance(answer, dict)
    kept = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in kept
    assert kept.encode()
    return bool(answer["title"].strip())


@given(ANY_JSON)
def test_no_json_makes_a_crash(value: Any) -> None:
    """S-264: whatever is sent, the answer is an input or a named refusal."""
    assert named(video_input(value, collected_at=AT))
    assert named(channel_input(value, collected_at=AT))


@given(st.sampled_from(["video", "channel"]), st.integers(0, 2**32), ANY_JSON, ANY_JSON)
def test_no_change_to_a_true_resource_makes_a_crash(kind: str, seed: int, first: Any, second: Any) -> None:
    """S-264: two values of a true resource replaced by anything."""
    made: Any = resource(kind)
    for new in (first, second):
        made = mutated(made, random.Random(seed).choice(places(made)), new)  # noqa: S311
    read_it = video_input if kind == "video" else channel_input
    assert named(read_it(made, collected_at=AT))


@given(st.text())
def test_no_text_makes_a_crash_as_a_duration(text: str) -> None:
    seconds = duration_seconds(text)
    assert seconds is None or seconds >= 0
