"""View counts over time: `<region>_videos.csv[.gz]`, one row per video, and `<region>_views.csv[.gz]`, one per reading.

Most videos of such a pool have no title and cannot be stored; those that have one were chosen by their success, so that
they say nothing of how often a keyword is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .dataset import ChartRow, VideoRow
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
)

__all__ = ["parse_pool_row", "parse_reading", "read_pool", "read_readings"]

POOL_COLUMNS: tuple[Column, ...] = (
    *("video_id", "published_at", "title", "channel", "channel_id", "duration_s", "category_id"),
)
READING_COLUMNS: tuple[Column, ...] = ("video_id", "collected_at", "views")


def read_pool(file: Path) -> Iterator[VideoRow | Refusal]:
    """Stream the videos; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=POOL_COLUMNS, parse=parse_pool_row)


def read_readings(file: Path) -> Iterator[ChartRow | Refusal]:
    """Stream the readings; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=READING_COLUMNS, parse=parse_reading)


def region_of_file(file: str) -> str:
    """KR of kr_videos.csv.gz; raises RefusedError when the name begins with no region."""
    return region_of("file", file.partition("_")[0].upper())


def parse_pool_row(fields: Sequence[str], *, file: str, line: int) -> VideoRow | Refusal:
    """Pure: the fields in the order of POOL_COLUMNS become a row, with or without a title, or a refusal."""
    video_id, published_at, title, channel, channel_id, duration, category_id = fields
    try:
        return VideoRow(
            line,
            video_id_of("video_id", video_id),
            optional_words("title", title) or "",
            optional_words("channel", channel),
            time_of("published_at", published_at),
            None,
            (region_of_file(file),),
            optional_count("duration_s", duration),
            optional_count("category_id", category_id),
            optional_words("channel_id", channel_id),
        )
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def parse_reading(fields: Sequence[str], *, file: str, line: int) -> ChartRow | Refusal:
    """Pure: the fields in the order of READING_COLUMNS become a row or a refusal."""
    video_id, collected_at, views = fields
    try:
        return ChartRow(
            line,
            time_of("collected_at", collected_at),
            region_of_file(file),
            video_id_of("video_id", video_id),
            count_of("views", views),
            None,
            None,
        )
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)
