"""CSV with a stated header: one row per video, the columns named as the fields of VideoInput (docs/ingest.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .tables import (
    MAX_TEXT,
    Column,
    Refusal,
    RefusedError,
    count_of,
    flag_of,
    read_table,
    region_of,
    tags_of,
    time_of,
    video_id_of,
    words,
)

if TYPE_CHECKING:
    from .api import VideoInput

__all__ = ["SourcedVideo", "parse_csv_video", "read_csv_videos"]

CSV_COLUMNS: tuple[Column, ...] = ("video_id", "title", "collected_at")
TEXTS = (
    *("description", "channel_id", "channel_name", "thumbnail_url"),
    *("privacy_status", "upload_status", "live_broadcast"),
)
COUNTS = ("duration_seconds", "category_id", "view_count", "like_count", "comment_count")
FLAGS = ("is_embeddable", "is_age_restricted", "is_playable")
LISTS = ("allowed_regions", "blocked_regions")
CSV_OPTIONAL: tuple[Column, ...] = ("published_at", "region", "tags", "keywords", *TEXTS, *COUNTS, *FLAGS, *LISTS)


class SourcedVideo(NamedTuple):
    """A video that can be sent, and where it was read."""

    video: VideoInput
    file: str
    line: int


def read_csv_videos(file: Path) -> Iterator[SourcedVideo | Refusal]:
    """Stream the rows of a file; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=CSV_COLUMNS, optional=CSV_OPTIONAL, parse=parse_csv_video)


def parse_csv_video(fields: Sequence[str], *, file: str, line: int) -> SourcedVideo | Refusal:
    """Pure: the fields in the order of CSV_COLUMNS and CSV_OPTIONAL become a video or a refusal. Empty is not said."""
    given = {str(column): value for column, value in zip((*CSV_COLUMNS, *CSV_OPTIONAL), fields, strict=True) if value}
    try:
        return SourcedVideo(cast("VideoInput", _video(given)), file, line)
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def _video(given: dict[str, str]) -> dict[str, Any]:
    video: dict[str, Any] = {
        "video_id": video_id_of("video_id", given.get("video_id", "")),
        "title": words("title", given.get("title", "")),
        "collected_at": time_of("collected_at", given.get("collected_at", "")).isoformat(),
        "keywords": [
            {"keyword": keyword, "relevance": 1.0, "source": "youtube_api"}
            for keyword in tags_of("keywords", given.get("keywords", ""))
        ],
    }
    for name in TEXTS:
        if name in given:
            video[name] = words(name, given[name], most=10 * MAX_TEXT)
    for name in COUNTS:
        if name in given:
            video[name] = count_of(name, given[name])
    for name in FLAGS:
        if name in given:
            video[name] = flag_of(name, given[name])
    if "published_at" in given:
        video["published_at"] = time_of("published_at", given["published_at"]).isoformat()
    if "region" in given:
        video["region"] = region_of("region", given["region"])
    if "tags" in given:
        video["tags"] = list(tags_of("tags", given["tags"]))
    lists = {
        name.removesuffix("_regions"): [region_of(name, code) for code in given[name].split("|")]
        for name in LISTS
        if name in given
    }
    if lists:
        video["region_restrictions"] = lists
    return video
