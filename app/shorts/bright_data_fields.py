"""Bright Data's fields of a YouTube video → the room's: the one place that knows how Bright Data names things. Pure.

| field | becomes |
|---|---|
| video_id, else url (watch?v=, shorts/, embed/, live/, youtu.be/) | video_id |
| title, description | the same, cut to what is stored |
| youtuber | channel_name, without @ |
| channel_url (…/channel/UC…), else youtuber_id, channel_id | channel_id |
| video_length: seconds, "45", "0:45", "1:02:03", "PT45S" | duration_seconds |
| views, likes, num_comments: 1200, "1,200", "1.2K", "3M" | view_count, like_count, comment_count |
| date_posted | published_at |
| preview_image | thumbnail_url |
| tags, hashtags: texts, objects with one, or one text | tags |
| is_age_restricted | is_age_restricted |
| timestamp | collected_at |
| input.keyword, discovery_input.keyword; input.country | the keyword it was found by; region |
| subscribers, transcript, related_videos and all others | not read |

Whether a video may be embedded, is public or plays in a region no scraper knows: these stay unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from .api import SignalInput, VideoInput
from .regions import REGIONS
from .youtube import Unusable, duration_seconds

__all__ = ["ScrapedVideo", "posting_signals", "scraped_video"]

SIGNAL_DAYS = 8  # detection looks at 7 days before the newest hour
TITLE_LENGTH = 500
DESCRIPTION_LENGTH = 10_000
CHANNEL_NAME_LENGTH = 200
TAGS = 500
TAG_LENGTH = 100
KEYWORD_LENGTH = 255

_ID = re.compile(r"[A-Za-z0-9_-]{6,20}", re.ASCII)
_CHANNEL_ID = re.compile(r"UC[A-Za-z0-9_-]{10,48}", re.ASCII)
_PATH = re.compile(r"/(?:shorts|embed|live|v)/([^/]+)")
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})", re.ASCII)
_COUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,15})(\.\d{1,6})?\s*([KMB])?", re.ASCII | re.IGNORECASE)
_FACTOR = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_HASHTAG = re.compile(r"#([^\s#]+)")
_HIGHEST = {"view_count": 10**12, "like_count": 2**31 - 1, "comment_count": 2**31 - 1}
_LONGEST_SECONDS = 604_800
_EARLIEST = datetime(2005, 1, 1, tzinfo=UTC)


class ScrapedVideo(NamedTuple):
    """A video as scraped, the keyword that it was found by and where, when the row says so."""

    video: VideoInput
    keyword: str | None
    region: str | None


def scraped_video(row: object, *, read_at: datetime) -> ScrapedVideo | Unusable:
    """One row of a snapshot or a delivery; `read_at` stands for the row's own time when it has none.

    A field that cannot be read is left out; a row without id or title is refused.
    """
    if not isinstance(row, Mapping):
        return Unusable("not_an_object", type(row).__name__)
    if (problem := row.get("error") or row.get("error_code")) and "title" not in row:
        return Unusable("source_error", _clean(str(problem), 200))
    video_id = _video_id(row)
    if video_id is None:
        return Unusable("bad_video_id", f"{row.get('video_id')!r:.60} {row.get('url')!r:.100}")
    title = _text(row.get("title"), TITLE_LENGTH)
    if title is None:
        return Unusable("missing_value", f"title of {video_id}")
    collected_at = _time(row.get("timestamp"), not_after=read_at) or read_at
    found: dict[str, Any] = {
        "video_id": video_id,
        "title": title,
        "collected_at": collected_at.isoformat(),
        "keywords": [],
        "description": _text(row.get("description"), DESCRIPTION_LENGTH),
        "channel_name": _text(row.get("youtuber"), CHANNEL_NAME_LENGTH),
        "channel_id": _channel_id(row),
        "duration_seconds": _seconds(row.get("video_length")),
        "view_count": _count(row.get("views"), "view_count"),
        "like_count": _count(row.get("likes"), "like_count"),
        "comment_count": _count(row.get("num_comments"), "comment_count"),
        "thumbnail_url": _address(row.get("preview_image")),
        "tags": _tags(row),
    }
    if published_at := _time(row.get("date_posted"), not_after=collected_at):
        found["published_at"] = published_at.isoformat()
    if found["channel_name"]:
        found["channel_name"] = found["channel_name"].removeprefix("@") or None
    if row.get("is_age_restricted") is True:  # false is no promise: a scraper that is not signed in cannot know
        found["is_age_restricted"] = True
    region = _asked(row, "country")
    region = region.upper() if region and region.upper() in REGIONS else None
    if region:
        found["region"] = region
    keyword = _text(_asked(row, "keyword"), KEYWORD_LENGTH)
    return ScrapedVideo(
        cast(VideoInput, {name: value for name, value in found.items() if value is not None}), keyword, region
    )


def posting_signals(videos: Iterable[VideoInput], *, region: str, now: datetime) -> Iterator[SignalInput]:
    """Per keyword and hour of posting, how many of `videos` (distinct, with keywords) were posted.

    Not by the hour of reading: a keyword that is asked for the first time would look like a burst. A date without a
    time of day counts for no hour, nor does what was posted before detection looks.
    """
    mentions: Counter[tuple[str, datetime]] = Counter()
    for video in videos:
        posted = _moment(video.get("published_at", ""))
        if posted is None or not now - timedelta(days=SIGNAL_DAYS) <= posted <= now:
            continue
        if posted == posted.replace(hour=0, minute=0, second=0, microsecond=0):
            continue
        hour = posted.replace(minute=0, second=0, microsecond=0)
        for keyword in {given["keyword"] for given in video["keywords"]}:
            mentions[keyword, hour] += 1
    for (keyword, hour), count in sorted(mentions.items()):
        yield SignalInput(keyword=keyword, region=region, bucket=hour.isoformat(), source="bright_data", mentions=count)


def _video_id(row: Mapping[str, Any]) -> str | None:
    given = row.get("video_id")
    if isinstance(given, str) and _ID.fullmatch(given):
        return given
    url = row.get("url")
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    except ValueError:
        return None
    found: str | None = None
    if host == "youtu.be":
        found = parts.path[1:]
    elif host == "youtube.com":
        if parts.path == "/watch":
            found = parse_qs(parts.query).get("v", [""])[0]
        elif match := _PATH.match(parts.path):
            found = match[1]
    return found if found and _ID.fullmatch(found) else None


def _channel_id(row: Mapping[str, Any]) -> str | None:
    for name in ("channel_url", "youtuber_id", "channel_id"):
        value = row.get(name)
        if isinstance(value, str):
            last = value.rstrip("/").rpartition("/")[2]
            if _CHANNEL_ID.fullmatch(last):
                return last
    return None


def _clean(text: str, longest: int) -> str:
    """Without NUL and half surrogate pairs, which Postgres cannot hold, and not longer than is stored."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode().strip()[:longest].strip()


def _text(value: object, longest: int) -> str | None:
    return _clean(value, longest) or None if isinstance(value, str) else None


def _asked(row: Mapping[str, Any], name: str) -> str | None:
    """What was asked for, which Bright Data repeats beside each row."""
    for part in (row.get("input"), row.get("discovery_input")):
        if isinstance(part, Mapping) and isinstance(value := part.get(name), str):
            return value
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return round(value) if 0 <= value < 1e15 else None
    return None


def _count(value: object, name: str) -> int | None:
    count = _whole(value)
    if count is None and isinstance(value, str) and (match := _COUNT.fullmatch(value.strip())):
        whole, fraction, letter = match[1].replace(",", ""), match[2] or "", (match[3] or "").upper()
        count = round(float(whole + fraction) * _FACTOR[letter]) if fraction else int(whole) * _FACTOR[letter]
    return count if count is not None and count <= _HIGHEST[name] else None


def _seconds(value: object) -> int | None:
    seconds = _whole(value)
    if seconds is None and isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) <= 9:
            seconds = int(text)
        elif match := _CLOCK.fullmatch(text):
            seconds = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
        else:
            seconds = duration_seconds(text)
    return seconds if seconds is not None and seconds <= _LONGEST_SECONDS else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _time(value: object, *, not_after: datetime) -> datetime | None:
    """An ISO 8601 time, UTC when it names no zone; nothing before YouTube, nothing that is still to come."""
    moment = _moment(value.strip()) if isinstance(value, str) else None
    return moment if moment is not None and _EARLIEST <= moment <= not_after else None


def _address(value: object) -> str | None:
    text = _text(value, 2_001)
    return text if text and len(text) <= 2_000 and text.startswith(("https://", "http://")) else None


def _tags(row: Mapping[str, Any]) -> list[str] | None:
    found: dict[str, None] = {}
    for value in (row.get("tags"), row.get("hashtags")):
        if isinstance(value, str):
            items: list[object] = [*(_HASHTAG.findall(value) or value.split(","))]
        else:
            items = value if isinstance(value, list) else []
        for item in items:
            if isinstance(item, Mapping):
                item = item.get("tag") or item.get("hashtag")
            if tag := _text(item, TAG_LENGTH):
                found.setdefault(tag.removeprefix("#"), None)
    found.pop("", None)
    return list(found)[:TAGS] or None
