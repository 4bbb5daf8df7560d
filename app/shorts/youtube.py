"""The YouTube Data API v3, and the only file that knows it. What a resource says becomes the room's own input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from .api import RegionLists, VideoInput

__all__ = ["Unusable", "duration_seconds", "video_input"]

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")


class Unusable(NamedTuple):
    """A resource that cannot be used: `code` names the problem, `detail` shows it."""

    code: str
    detail: str


def duration_seconds(text: str) -> int | None:
    """Seconds of an ISO 8601 duration such as PT1M5S; 0 for P0D, a live stream; None when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT"):
        return None
    return sum(int(match[name] or 0) * seconds for name, seconds in _SECONDS.items())


def video_input(resource: object, *, collected_at: str) -> VideoInput | Unusable:
    """A `youtube#video` resource of videos.list (snippet, contentDetails, status, statistics) for `ingest_videos`.

    Parts that were not asked for are left out, which keeps what is known. `keywords` is empty: `add_keywords` fills it.
    """
    if not isinstance(resource, Mapping):
        return Unusable("not_an_object", type(resource).__name__)
    video_id = resource.get("id")
    if not isinstance(video_id, str) or _ID.fullmatch(video_id) is None:
        return Unusable("bad_video_id", repr(video_id)[:60])
    snippet, content, status = _part(resource, "snippet"), _part(resource, "contentDetails"), _part(resource, "status")
    title = snippet.get("title")
    if not isinstance(title, str) or not title.strip():
        return Unusable("missing_value", f"snippet.title of {video_id}")
    found: dict[str, Any] = {"video_id": video_id, "title": title, "collected_at": collected_at, "keywords": []}
    found["description"] = _text(snippet, "description")
    found["channel_id"] = _text(snippet, "channelId")
    found["channel_name"] = _text(snippet, "channelTitle")
    found["published_at"] = _text(snippet, "publishedAt")
    found["live_broadcast"] = _text(snippet, "liveBroadcastContent")
    found["category_id"] = _count(snippet, "categoryId")
    found["thumbnail_url"] = _thumbnail(snippet)
    found["tags"] = _texts(snippet.get("tags"))
    if (duration := _text(content, "duration")) is not None:
        found["duration_seconds"] = duration_seconds(duration)
        if found["duration_seconds"] is None:
            return Unusable("bad_duration", f"{duration[:40]!r} of {video_id}")
    if content:
        found["is_age_restricted"] = _part(content, "contentRating").get("ytRating") == "ytAgeRestricted"
        found["region_restrictions"] = _regions(content)
    found["privacy_status"] = _text(status, "privacyStatus")
    found["upload_status"] = _text(status, "uploadStatus")
    if isinstance(embeddable := status.get("embeddable"), bool):
        found["is_embeddable"] = embeddable
    statistics = _part(resource, "statistics")
    found["view_count"] = _count(statistics, "viewCount")
    found["like_count"] = _count(statistics, "likeCount")  # left out when the uploader hides it
    found["comment_count"] = _count(statistics, "commentCount")
    return cast(VideoInput, {name: value for name, value in found.items() if value is not None})


def _part(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = resource.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(part: Mapping[str, Any], name: str) -> str | None:
    value = part.get(name)
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _count(part: Mapping[str, Any], name: str) -> int | None:
    """YouTube writes counts as text."""
    value = part.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _thumbnail(snippet: Mapping[str, Any]) -> str | None:
    thumbnails = _part(snippet, "thumbnails")
    for size in ("maxres", "standard", "high", "medium", "default"):
        if address := _text(_part(thumbnails, size), "url"):
            return address
    return None


def _regions(content: Mapping[str, Any]) -> RegionLists:
    """An empty object says that no region is restricted; that is news too."""
    given = _part(content, "regionRestriction")
    lists = {name: codes for name in ("allowed", "blocked") if (codes := _texts(given.get(name))) is not None}
    return cast(RegionLists, lists)
