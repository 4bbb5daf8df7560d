"""Which format a file or folder has: told by file names, headers and shape. docs/ingest.md describes each."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import DatasetError
from .csv_videos import CSV_COLUMNS, SourcedVideo, read_csv_videos
from .dataset import ChartRow, VideoRow, dataset_files, read_chart, read_videos
from .tables import Refusal, open_text, read_header
from .trending import TrendingRow, read_trending
from .velocity import read_pool, read_readings
from .youtube_dump import LINES, read_dump

__all__ = ["Charts", "Dataset", "Videos", "digest", "open_dataset"]

KNOWN = (
    "chart.csv + videos.csv; *_videos.csv + *_views.csv; Kaggle's trending CSV; "
    "CSV with video_id, title, collected_at; YouTube's videos as JSON or NDJSON"
)
SNIFFED = 1 << 16  # characters


@dataclass(frozen=True)
class Charts:
    """Videos, and when they were listed or read; both may be streamed more than once.

    `listings` become counts of the videos, and signals where `has_signals`.
    """

    format: str
    videos_file: Path
    listings_file: Path
    videos: Callable[[], Iterator[VideoRow | Refusal]]
    listings: Callable[[], Iterator[ChartRow | Refusal]]
    has_signals: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once."""
        return tuple(dict.fromkeys((self.listings_file, self.videos_file)))


@dataclass(frozen=True)
class Videos:
    """Videos as they are to be stored."""

    format: str
    file: Path
    videos: Callable[[], Iterator[SourcedVideo | Refusal]]

    @property
    def files(self) -> tuple[Path, ...]:
        """The one."""
        return (self.file,)


@dataclass(frozen=True)
class Dataset:
    """What a folder or file holds; `ignored` are files of no format that is known."""

    parts: tuple[Charts | Videos, ...]
    ignored: tuple[str, ...] = ()


def open_dataset(path: Path, *, collected_at: datetime | None = None) -> Dataset:
    """Recognise what `path` holds; raises DatasetError with what is known when it is nothing of that.

    `collected_at` is when YouTube's answers were read; without it that is when their file was last changed.
    """
    if path.is_file():
        part = _part_of(path, collected_at=collected_at)
        if part is None:
            raise DatasetError("dataset_unknown", path=path, known=KNOWN)
        return Dataset((part,))
    if not path.is_dir():
        raise DatasetError("dataset_absent", path=path)
    try:
        files = sorted(file for file in path.iterdir() if file.is_file())
    except OSError as error:
        raise DatasetError("dataset_unreadable", file=path, line=0, problem=error) from error
    if any(_stem(file) in ("chart", "videos") for file in files):
        return Dataset((_charts(path),))
    parts: list[Charts | Videos] = list(_pools(files))
    paired = {file for part in parts for file in part.files}
    ignored: list[str] = []
    for file in files:
        if file not in paired and _ending(file) in (".csv", ".json", *LINES):
            part = _part_of(file, collected_at=collected_at)
            if part is None:
                ignored.append(file.name)
            else:
                parts.append(part)
    if not parts:
        raise DatasetError("dataset_unknown", path=path, known=KNOWN)
    return Dataset(tuple(parts), tuple(ignored))


def digest(file: Path) -> str:
    """SHA-256 of the file as it lies there; raises DatasetError when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error


def _charts(folder: Path) -> Charts:
    chart, videos = dataset_files(folder)
    return Charts("charts", videos, chart, lambda: read_videos(videos), lambda: read_chart(chart))


def _pools(files: list[Path]) -> Iterator[Charts]:
    for file in files:
        region, _, kind = _stem(file).rpartition("_")
        if kind == "videos" and region and _ending(file) == ".csv":
            for other in files:
                if _stem(other) == f"{region}_views" and _ending(other) == ".csv":
                    yield _pool(file, other)


def _pool(videos: Path, readings: Path) -> Charts:
    return Charts(
        "velocity",
        videos,
        readings,
        lambda: read_pool(videos),
        lambda: read_readings(readings),
        has_signals=False,
    )


def _part_of(file: Path, *, collected_at: datetime | None) -> Charts | Videos | None:
    if _ending(file) == ".csv":
        header = read_header(file)
        if "trending_date" in header:
            return _trending(file)
        if set(map(str, CSV_COLUMNS)) <= set(header):
            return Videos("csv", file, lambda: read_csv_videos(file))
    elif _ending(file) in (".json", *LINES) and _holds_videos(file):
        try:
            moment = collected_at or datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except OSError as error:
            raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error
        return Videos("youtube", file, lambda: read_dump(file, collected_at=moment.isoformat()))
    return None


def _trending(file: Path) -> Charts:
    def videos() -> Iterator[VideoRow | Refusal]:
        return (row.video if isinstance(row, TrendingRow) else row for row in read_trending(file))

    def listings() -> Iterator[ChartRow | Refusal]:
        return (row.listing if isinstance(row, TrendingRow) else row for row in read_trending(file))

    return Charts("trending", file, file, videos, listings)


def _holds_videos(file: Path) -> bool:
    """Whether its beginning looks like videos: YouTube has other resources, and others write JSON too."""
    try:
        with open_text(file) as opened:
            beginning = opened.read(SNIFFED)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error
    return (
        '"youtube#video"' in beginning
        or '"youtube#videoListResponse"' in beginning
        or ('"snippet"' in beginning and '"kind"' not in beginning)
    )


def _ending(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix


def _stem(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).stem
