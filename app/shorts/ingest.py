"""Brings a data set into the database: videos with their keywords, and how often each keyword was listed per hour.

Everything is sent in batches that may be repeated: a second run of the same data set changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from ..errors import DatasetError, OndolError
from .api import Ingested, SignalInput, VideoInput
from .dataset import ChartRow, Refusal, VideoRow, dataset_files, read_chart, read_videos
from .keywords import Keyword, keywords_of
from .regions import REGIONS

__all__ = ["IngestReport", "IngestTarget", "Totals", "check_regions", "hourly_signals", "ingest_dataset"]

VIDEOS_PER_BATCH = 1_000
SIGNALS_PER_BATCH = 5_000
BATCHES_IN_FLIGHT = 3
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
REFUSALS_KEPT = 1_000  # with line numbers; beyond it they are only counted
ROWS_PER_STEP = 2_000  # between two reports of progress

Item = TypeVar("Item")
Progress = Callable[[str, int, int | None], None]
"""Called with the stage, how much is done, and of how much (None while unknown)."""


class IngestTarget(Protocol):
    """What ingest needs of the backend; ShortsApi is one."""

    async def ingest_videos(self, videos: list[VideoInput], /) -> Ingested: ...

    async def ingest_keyword_signals(self, signals: list[SignalInput], /) -> Ingested: ...


@dataclass
class Totals:
    """What became of everything that was sent of one kind."""

    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, answer: Ingested) -> None:
        self.received += answer.received
        self.inserted += answer.inserted
        self.updated += answer.updated
        self.unchanged += answer.unchanged
        self.rejected += len(answer.rejected)


@dataclass
class IngestReport:
    """What one run read, sent and refused. `chart_rows_untitled` name a video that has no usable row of its own."""

    videos_read: int = 0
    chart_rows_read: int = 0
    chart_rows_untitled: int = 0
    videos: Totals = field(default_factory=Totals)
    signals: Totals = field(default_factory=Totals)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def refused_count(self) -> int:
        return self.refused.total()

    def refuse(self, refusal: Refusal) -> None:
        self.refused[refusal.code] += 1
        if len(self.refusals) < REFUSALS_KEPT:
            self.refusals.append(refusal)


class Sourced(NamedTuple, Generic[Item]):
    """Something to send, and the line of the file that it comes from."""

    item: Item
    line: int


class Counts(NamedTuple):
    """A video's newest running totals."""

    collected_at: datetime
    views: int
    likes: int | None
    comments: int | None


class Known(NamedTuple):
    """A video that was read, with its keywords."""

    row: VideoRow
    keywords: list[Keyword]


async def ingest_dataset(
    folder: Path,
    *,
    into: IngestTarget,
    regions: Collection[str] = (),
    on_progress: Progress = lambda stage, done, total: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> IngestReport:
    """Send the data set in `folder` to `into`, whole or only what was listed in `regions`.

    Rows that cannot be used are in the report with file and line; raises DatasetError when a file as a whole cannot
    be used, and the backend's error when a batch fails for good.
    """
    begun = time.monotonic()
    check_regions(regions)
    chart_file, videos_file = dataset_files(folder)
    report = IngestReport()

    videos = _read_videos(videos_file, report=report, on_progress=on_progress)
    newest, in_order = _read_newest(chart_file, videos=videos, report=report, on_progress=on_progress)
    listed = [video for video in videos.values() if not regions or not set(regions).isdisjoint(video.row.regions)]
    outgoing_videos = (Sourced(_video_input(video, newest.get(video.row.video_id)), video.row.line) for video in listed)
    await _send(
        _batches(outgoing_videos, size=VIDEOS_PER_BATCH),
        call=into.ingest_videos,
        totals=report.videos,
        file=videos_file.name,
        report=report,
        on_sent=lambda: on_progress("send_videos", report.videos.received, len(listed)),
        sleep=sleep,
    )

    rows: Iterator[ChartRow] = (row for row in read_chart(chart_file) if isinstance(row, ChartRow))
    if not in_order:  # only then is the whole file held in memory
        rows = iter(sorted(rows, key=lambda row: row.collected_at))
    words = {video_id: tuple(keyword.keyword for keyword in video.keywords) for video_id, video in videos.items()}
    done = 0

    def counted() -> Iterator[ChartRow]:
        nonlocal done
        for row in rows:
            done += 1
            if not regions or row.region in regions:
                yield row

    await _send(
        _batches(hourly_signals(counted(), keywords=words), size=SIGNALS_PER_BATCH),
        call=into.ingest_keyword_signals,
        totals=report.signals,
        file=chart_file.name,
        report=report,
        on_sent=lambda: on_progress("send_signals", done, report.chart_rows_read),
        sleep=sleep,
    )
    report.seconds = time.monotonic() - begun
    return report


def check_regions(regions: Iterable[str]) -> None:
    """Raise DatasetError for the first that is no region."""
    for region in regions:
        if region not in REGIONS:
            raise DatasetError("region_unknown", region=region)


def hourly_signals(
    rows: Iterable[ChartRow], *, keywords: Mapping[str, Iterable[str]]
) -> Iterator[Sourced[SignalInput]]:
    """Pure: per keyword, region and hour, the number of distinct listed videos and the views that they gained.

    `rows` are in the order of time; one hour is held at a time. A video's gain is its running total less that of its
    earlier listing in the same region, 0 at the first. The line is that of the first row that mentions the keyword.
    """
    earlier: dict[tuple[str, str], int] = {}
    for hour, hour_rows in groupby(rows, key=lambda row: row.collected_at.replace(minute=0, second=0, microsecond=0)):
        listed: dict[tuple[str, str], tuple[int, int]] = {}  # (region, video) → (first line, highest total)
        for row in hour_rows:
            if row.video_id in keywords:
                line, views = listed.get((row.region, row.video_id), (row.line, 0))
                listed[row.region, row.video_id] = (line, max(views, row.views))
        tally: dict[tuple[str, str], list[int]] = {}  # (region, keyword) → [first line, mentions, views]
        for (region, video_id), (line, views) in listed.items():
            # A total that went down was a wrong reading, not a loss of views.
            gained = max(views - earlier.get((region, video_id), views), 0)
            earlier[region, video_id] = views
            for keyword in keywords[video_id]:
                entry = tally.setdefault((region, keyword), [line, 0, 0])
                entry[1] += 1
                entry[2] += gained
        bucket = hour.isoformat()
        for (region, keyword), (line, mentions, gained) in tally.items():
            signal = SignalInput(
                keyword=keyword, region=region, bucket=bucket, source="youtube_api", mentions=mentions, views=gained
            )
            yield Sourced(signal, line)


def _read_videos(file: Path, *, report: IngestReport, on_progress: Progress) -> dict[str, Known]:
    videos: dict[str, Known] = {}
    for row in read_videos(file):
        report.videos_read += 1
        if isinstance(row, Refusal):
            report.refuse(row)
        elif row.video_id in videos:
            report.refuse(Refusal(file.name, row.line, "duplicate_video", f"video_id {row.video_id!r}"))
        else:
            videos[row.video_id] = Known(row, keywords_of(row.title))
        if report.videos_read % ROWS_PER_STEP == 0:
            on_progress("read_videos", report.videos_read, None)
    on_progress("read_videos", report.videos_read, report.videos_read)
    return videos


def _read_newest(
    file: Path, *, videos: Mapping[str, Known], report: IngestReport, on_progress: Progress
) -> tuple[dict[str, Counts], bool]:
    """The newest counts of each video over all regions, and whether the rows are in the order of time."""
    newest: dict[str, Counts] = {}
    in_order = True
    last: datetime | None = None
    for row in read_chart(file):
        report.chart_rows_read += 1
        if report.chart_rows_read % ROWS_PER_STEP == 0:
            on_progress("read_chart", report.chart_rows_read, None)
        if isinstance(row, Refusal):
            report.refuse(row)
            continue
        in_order = in_order and (last is None or last <= row.collected_at)
        last = row.collected_at
        if row.video_id not in videos:
            report.chart_rows_untitled += 1
            continue
        known = newest.get(row.video_id)
        if known is None or known.collected_at <= row.collected_at:
            newest[row.video_id] = Counts(row.collected_at, row.views, row.likes, row.comments)
    on_progress("read_chart", report.chart_rows_read, report.chart_rows_read)
    return newest, in_order


def _video_input(video: Known, counts: Counts | None) -> VideoInput:
    """The same whatever regions were asked for, so that a later run for more regions changes nothing."""
    row = video.row
    given = VideoInput(
        video_id=row.video_id,
        title=row.title,
        collected_at=(counts.collected_at if counts else row.last_seen).isoformat(),
        published_at=row.published_at.isoformat(),
        duration_seconds=row.duration_seconds,
        region=row.regions[0],
        privacy_status="public",  # it was listed for everybody
        keywords=[
            {"keyword": keyword.keyword, "relevance": keyword.relevance, "source": "youtube_api"}
            for keyword in video.keywords
        ],
    )
    if row.channel is not None:
        given["channel_name"] = row.channel
    if row.category_id is not None:
        given["category_id"] = row.category_id
    if counts is not None:
        given["view_count"] = counts.views
        if counts.likes is not None:
            given["like_count"] = counts.likes
        if counts.comments is not None:
            given["comment_count"] = counts.comments
    return given


def _batches(items: Iterable[Item], *, size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


async def _send(
    batches: Iterable[list[Sourced[Item]]],
    *,
    call: Callable[[list[Item]], Awaitable[Ingested]],
    totals: Totals,
    file: str,
    report: IngestReport,
    on_sent: Callable[[], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Send every batch, a few at a time; what the database rejects goes to the report with its line."""
    free = asyncio.Semaphore(BATCHES_IN_FLIGHT)

    async def send(batch: list[Sourced[Item]]) -> None:
        try:
            answer = await _persist(call, [sourced.item for sourced in batch], sleep=sleep)
        finally:
            free.release()
        totals.add(answer)
        for rejection in answer.rejected:
            report.refuse(Refusal(file, batch[rejection.index].line, rejection.code, rejection.message))
        on_sent()

    try:
        async with asyncio.TaskGroup() as tasks:
            for batch in batches:
                await free.acquire()
                tasks.create_task(send(batch))
    except ExceptionGroup as group:
        # One failed batch ends the run; the others were cancelled and would only repeat what it says.
        raise group.exceptions[0] from group


async def _persist(
    call: Callable[[Item], Awaitable[Ingested]], batch: Item, *, sleep: Callable[[float], Awaitable[None]]
) -> Ingested:
    """Call again after what may pass: every batch may be repeated, so a lost answer does no harm."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await call(batch)
        except OndolError as error:
            if not error.is_transient:
                raise
        await sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    return await call(batch)
