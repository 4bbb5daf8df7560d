"""A data set of YouTube charts: `chart.csv[.gz]`, one row per listing, and `videos.csv[.gz]`, one row per video.

The columns are in docs/ingest.md. Rows are streamed; nothing here knows a database or a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..errors import DatasetError
from .tables import (
    Column,
    Refusal,
    RefusedError,
    count_of,
    optional_count,
    optional_words,
    read_table,
    region_of,
    time_of,
    video_id_of,
    words,
)

__all__ = [
    "ChartRow",
    "VideoRow",
    "check_dataset",
    "dataset_files",
    "parse_chart_row",
    "parse_video_row",
    "read_chart",
    "read_videos",
]

CHART_COLUMNS: tuple[Column, ...] = ("collected_at", ("country", "region"), "video_id", "views", "likes", "comments")
VIDEO_COLUMNS: tuple[Column, ...] = (
    *("video_id", "title", "channel", "published_at"),
    *("last_seen", ("countries", "regions")),
)
VIDEO_OPTIONAL: tuple[Column, ...] = ("duration_s", "category_id", "channel_id")


class ChartRow(NamedTuple):
    """A video was listed in `region` at `collected_at` (UTC); counts are running totals, None when not given."""

    line: int
    collected_at: datetime
    region: str
    video_id: str
    views: int
    likes: int | None
    comments: int | None


class VideoRow(NamedTuple):
    """What a source says of a video. `title` is empty where the source has none, and the video cannot be stored then.

    `last_seen` (UTC) is when this was read, None when only its listings know; `is_public` is None when it is not sure.
    """

    line: int
    video_id: str
    title: str
    channel: str | None
    published_at: datetime
    last_seen: datetime | None
    regions: tuple[str, ...]
    duration_seconds: int | None = None
    category_id: int | None = None
    channel_id: str | None = None
    tags: tuple[str, ...] | None = None
    is_public: bool | None = True


def dataset_files(folder: Path) -> tuple[Path, Path]:
    """The chart file and the videos file of `folder`; raises DatasetError when one is missing or there twice."""
    return _file_of(folder, stem="chart"), _file_of(folder, stem="videos")


def check_dataset(folder: Path) -> None:
    """Raise DatasetError when a file is missing, cannot be opened or lacks a column; rows are not looked at."""
    chart_file, videos_file = dataset_files(folder)
    for rows in (read_chart(chart_file), read_videos(videos_file)):
        for _ in rows:
            break


def read_chart(file: Path) -> Iterator[ChartRow | Refusal]:
    """Stream the rows of a chart file; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=CHART_COLUMNS, parse=parse_chart_row)


def read_videos(file: Path) -> Iterator[VideoRow | Refusal]:
    """Stream the rows of a videos file; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=VIDEO_COLUMNS, optional=VIDEO_OPTIONAL, parse=parse_video_row)


def parse_chart_row(fields: Sequence[str], *, file: str, line: int) -> ChartRow | Refusal:
    """Pure: the fields in the order of CHART_COLUMNS become a row or a refusal; never raises."""
    collected_at, country, video_id, views, likes, comments = fields
    try:
        return ChartRow(
            line,
            time_of("collected_at", collected_at),
            region_of("country", country),
            video_id_of("video_id", video_id),
            count_of("views", views),
            optional_count("likes", likes),
            optional_count("comments", comments),
        )
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def parse_video_row(fields: Sequence[str], *, file: str, line: int) -> VideoRow | Refusal:
    """Pure: the fields in the order of VIDEO_COLUMNS and VIDEO_OPTIONAL become a row or a refusal; never raises."""
    video_id, title, channel, published_at, last_seen, countries, duration, category_id, channel_id = fields
    try:
        return VideoRow(
            line,
            video_id_of("video_id", video_id),
            words("title", title),
            optional_words("channel", channel),
            time_of("published_at", published_at),
            time_of("last_seen", last_seen),
            tuple(region_of("countries", country) for country in countries.split("|")),
            optional_count("duration_s", duration),
            optional_count("category_id", category_id),
            optional_words("channel_id", channel_id),
        )
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def _file_of(folder: Path, *, stem: str) -> Path:
    names = (f"{stem}.csv.gz", f"{stem}.csv")
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise DatasetError("dataset_missing", wanted=f"{stem}.csv[.gz]", folder=folder)
    if len(found) > 1:
        raise DatasetError("dataset_ambiguous", first=names[0], second=names[1], folder=folder)
    return found[0]
