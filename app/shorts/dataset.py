"""Reads a data set of YouTube charts from files: each row becomes a value or a refusal that names file and line.

The format is in docs/ingest.md: `chart.csv[.gz]`, one row per listing, and `videos.csv[.gz]`, one row per video.
Rows are streamed; nothing here knows a database or a network.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar

from ..errors import DatasetError
from ..messages import TEXTS, Language, text
from .regions import REGIONS

__all__ = [
    "ChartRow",
    "Refusal",
    "VideoRow",
    "check_dataset",
    "dataset_files",
    "parse_chart_row",
    "parse_video_row",
    "read_chart",
    "read_videos",
]

CHART_COLUMNS = ("collected_at", "country", "video_id", "views", "likes", "comments")
VIDEO_COLUMNS = ("video_id", "title", "channel", "published_at", "duration_s", "category_id", "last_seen", "countries")
MAX_TEXT = 1_000  # characters; YouTube's own limit for a title is 100
MAX_COUNT = 10**12  # more than all of YouTube's best watched videos together
YEARS = range(2005, 2100)  # YouTube's first year and on
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")
SHOWN = 40  # characters of a refused value that a message shows

Row = TypeVar("Row")


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
    """What is known of a video; `last_seen` (UTC) is when its title was read."""

    line: int
    video_id: str
    title: str
    channel: str | None
    published_at: datetime
    duration_seconds: int
    category_id: int | None
    last_seen: datetime
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """One row that was not taken. `code` is our own name of the problem, or the database's code."""

    file: str
    line: int
    code: str
    detail: str

    def say(self, language: Language = "en") -> str:
        """Where and why, in one line."""
        return f"{self.file}:{self.line}: {self.message(language)}"

    def message(self, language: Language = "en") -> str:
        """Why: `detail` names the column and the value, or is the database's whole sentence."""
        key = f"refused_{self.code}"
        return f"{self.detail}: {text(key, language=language)}" if key in TEXTS else self.detail


class _RefusedError(Exception):
    """Inside this module only: a value is refused with `code`."""

    def __init__(self, code: str, column: str, value: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = f"{column} {value[:SHOWN] + ('…' if len(value) > SHOWN else '')!r}"


def dataset_files(folder: Path) -> tuple[Path, Path]:
    """The chart file and the videos file of `folder`; raises DatasetError when one is missing or there twice."""
    return _file_of(folder, stem="chart"), _file_of(folder, stem="videos")


def check_dataset(folder: Path) -> None:
    """Raise DatasetError when a file is missing, cannot be opened or lacks a column; rows are not looked at."""
    chart_file, videos_file = dataset_files(folder)
    for file, columns in ((chart_file, CHART_COLUMNS), (videos_file, VIDEO_COLUMNS)):
        for _ in _read(file, columns=columns, parse=lambda fields, file, line: line):
            break


def read_chart(file: Path) -> Iterator[ChartRow | Refusal]:
    """Stream the rows of a chart file; raises DatasetError when the file as a whole cannot be used."""
    return _read(file, columns=CHART_COLUMNS, parse=parse_chart_row)


def read_videos(file: Path) -> Iterator[VideoRow | Refusal]:
    """Stream the rows of a videos file; raises DatasetError when the file as a whole cannot be used."""
    return _read(file, columns=VIDEO_COLUMNS, parse=parse_video_row)


def parse_chart_row(fields: Sequence[str], *, file: str, line: int) -> ChartRow | Refusal:
    """Pure: the fields in the order of CHART_COLUMNS become a row or a refusal; never raises."""
    collected_at, country, video_id, views, likes, comments = fields
    try:
        return ChartRow(
            line,
            _time("collected_at", collected_at),
            _region("country", country),
            _video_id("video_id", video_id),
            _count("views", views),
            _optional_count("likes", likes),
            _optional_count("comments", comments),
        )
    except _RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def parse_video_row(fields: Sequence[str], *, file: str, line: int) -> VideoRow | Refusal:
    """Pure: the fields in the order of VIDEO_COLUMNS become a row or a refusal; never raises."""
    video_id, title, channel, published_at, duration, category_id, last_seen, countries = fields
    try:
        return VideoRow(
            line,
            _video_id("video_id", video_id),
            _text("title", title),
            _text("channel", channel) if channel else None,
            _time("published_at", published_at),
            _count("duration_s", duration),
            _optional_count("category_id", category_id),
            _time("last_seen", last_seen),
            tuple(_region("countries", country) for country in countries.split("|")),
        )
    except _RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)


def _file_of(folder: Path, *, stem: str) -> Path:
    names = (f"{stem}.csv.gz", f"{stem}.csv")
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise DatasetError("dataset_missing", wanted=f"{stem}.csv[.gz]", folder=folder)
    if len(found) > 1:
        raise DatasetError("dataset_ambiguous", first=names[0], second=names[1], folder=folder)
    return found[0]


def _open(file: Path) -> TextIO:
    # Bytes that are not UTF-8 pass as surrogates, so that one bad row is refused and not the file.
    opened = gzip.open if file.suffix == ".gz" else open
    return opened(file, mode="rt", encoding="utf-8-sig", errors="surrogateescape", newline="")


def _read(file: Path, *, columns: Sequence[str], parse: Callable[..., Row | Refusal]) -> Iterator[Row | Refusal]:
    name = file.name
    ended = 0  # the physical line on which the last record ended: a quoted field may span lines
    try:
        with _open(file) as opened:
            reader = csv.reader(opened, strict=True)
            header = next(reader, [])
            missing = [column for column in columns if column not in header]
            if missing:
                shown = ", ".join(header)[:200] or "(nothing)"
                raise DatasetError("dataset_column_missing", file=file, columns=", ".join(missing), header=shown)
            pick = itemgetter(*(header.index(column) for column in columns))
            while True:
                ended = reader.line_num
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Refusal(name, ended + 1, "bad_csv", str(error))
                    continue
                if len(fields) == len(header):
                    yield parse(pick(fields), file=name, line=ended + 1)
                elif fields:
                    yield Refusal(name, ended + 1, "wrong_field_count", f"{len(fields)} / {len(header)}")
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DatasetError("dataset_unreadable", file=file, line=ended, problem=error) from error


def _clean(column: str, value: str) -> str:
    if not value.strip():
        raise _RefusedError("missing_value", column, value)
    if "\0" in value:
        raise _RefusedError("nul_byte", column, value)
    return value


def _text(column: str, value: str) -> str:
    _clean(column, value)
    if len(value) > MAX_TEXT:
        raise _RefusedError("too_long", column, value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _RefusedError("bad_encoding", column, value)
    return value


def _video_id(column: str, value: str) -> str:
    if VIDEO_ID.fullmatch(value) is None:
        raise _RefusedError("bad_video_id", column, _clean(column, value))
    return value


def _region(column: str, value: str) -> str:
    if value not in REGIONS:
        raise _RefusedError("unknown_region", column, _clean(column, value))
    return value


def _count(column: str, value: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _RefusedError("bad_number", column, _clean(column, value))
    if digits is not value and digits.strip("0"):
        raise _RefusedError("negative_count", column, value)
    if len(digits) > 18 or int(digits) > MAX_COUNT:
        raise _RefusedError("too_large", column, value)
    return int(digits)


def _optional_count(column: str, value: str) -> int | None:
    return _count(column, value) if value else None


@lru_cache(maxsize=4096)
def _utc(value: str) -> datetime | None:
    """The time in UTC; None when it is none, has no time zone, or lies outside YouTube's years."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    # The year is looked at first: converting the calendar's very ends would overflow.
    if time.tzinfo is None or time.year not in YEARS:
        return None
    return time.astimezone(UTC)


def _time(column: str, value: str) -> datetime:
    time = _utc(value)
    if time is None:
        raise _RefusedError("bad_time", column, _clean(column, value))
    return time
