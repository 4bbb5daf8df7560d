"""Small data sets for tests, and one that is broken in every way the parsers know."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

CHART_HEADER = ("collected_at", "country", "source", "rank", "video_id", "views", "likes", "comments", "subs")
VIDEO_HEADER = (
    *("video_id", "title", "channel", "published_at", "duration_s", "category_id"),
    *("first_seen", "last_seen", "countries", "n_titles"),
)
Row = Sequence[object]


def chart_row(
    at: str = "2026-07-10T00:24:48Z",
    *,
    country: str = "KR",
    video: str = "video000001",
    views: object = 1000,
    likes: object = 10,
) -> Row:
    return (at, country, "chart", 1, video, views, likes, 2, 5000)


def video_row(
    video: str = "video000001",
    *,
    title: str = "김치 레시피 #김치",
    published: str = "2026-07-09T00:00:00Z",
    countries: str = "KR",
    duration: object = 58,
) -> Row:
    seen = "2026-07-10T06:24:48Z"
    return (video, title, "채널", published, duration, "", "2026-07-10T00:24:48Z", seen, countries, 1)


def write_rows(file: Path, header: Row, rows: Sequence[Row]) -> Path:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return file


def write_dataset(folder: Path, *, chart: Sequence[Row], videos: Sequence[Row], ending: str = ".csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / f"chart{ending}", CHART_HEADER, chart)
    write_rows(folder / f"videos{ending}", VIDEO_HEADER, videos)
    return folder


def write_broken_dataset(folder: Path) -> dict[tuple[str, int], str]:
    """Three good videos in four good chart rows among broken ones; returns what must be refused, by file and line."""
    chart = [
        chart_row(),
        chart_row("2026-13-40T00:00:00Z"),
        chart_row(views=-5),
        chart_row(country="XX"),
        chart_row("2026-07-10T06:24:48Z", views=1500),
        chart_row("2026-07-10T06:24:48Z", video="video000002"),
        chart_row("2026-07-10T06:24:48Z", video="video\0000003"),
        chart_row("2026-07-10T06:24:48Z", video="video000009", country="US"),
        chart_row("2026-07-10T06:24:48Z", video="video000003"),  # its title is too long: no usable row
    ]
    videos = [
        video_row(),
        video_row("video000002", title="강아지 산책 #강아지"),
        video_row("video000003", title="가" * 3_400),  # 10 kB in UTF-8
        video_row("video000004", title="NUL\0이 있는 제목"),
        video_row("video000005", published="yesterday"),
        video_row("video000006", duration=-1),
        video_row("video000007", countries="KR|ZZ"),
        video_row("video000002", title="두 번째"),
        video_row("video000009", title="Best kimchi recipe", countries="US"),
    ]
    write_dataset(folder, chart=chart, videos=videos)
    return {
        ("chart.csv", 3): "bad_time",
        ("chart.csv", 4): "negative_count",
        ("chart.csv", 5): "unknown_region",
        ("chart.csv", 8): "nul_byte",
        ("videos.csv", 4): "too_long",
        ("videos.csv", 5): "nul_byte",
        ("videos.csv", 6): "bad_time",
        ("videos.csv", 7): "negative_count",
        ("videos.csv", 8): "unknown_region",
        ("videos.csv", 9): "duplicate_video",
    }
