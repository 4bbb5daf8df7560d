"""Brings a data set into the database: videos with their keywords, and how often each keyword was listed per hour.

Everything is sent in batches that may be repeated: a second run of the same data set changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from ..errors import DatasetError, OndolError
from .api import Ingested, Rejection, SignalsInput, VideoInput
from .csv_videos import SourcedVideo
from .dataset import ChartRow, VideoRow
from .formats import Charts, Videos, digest, open_dataset
from .keywords import Keyword, add_keywords, keywords_of_many
from .korean import load_tokenizer
from .regions import REGIONS
from .sending import IngestReport, IngestRuns, Progress, Run, batches
from .signals import HourSignals, hourly_signals
from .tables import Refusal

__all__ = ["DryRun", "IngestTarget", "check_regions", "ingest_dataset"]

VIDEOS_PER_BATCH = 1_000
SIGNALS_PER_BATCH = 15_000
ROWS_PER_STEP = 2_000  # between two reports of progress
PACKING = 1  # another number where batches are cut otherwise: a run in that other way cannot go on
LISTINGS_KEPT = 100_000  # in memory, some 30 MB; of longer files each is read again
END_WITHIN_SECONDS = 5.0


class IngestTarget(Protocol):
    """What ingest needs of the backend; ShortsApi is one."""

    async def ingest_videos(self, videos: list[VideoInput], /) -> Ingested: ...

    async def ingest_keyword_signals(self, signals: list[SignalsInput], /) -> Ingested: ...


class DryRun:
    """A target that stores nothing: what would be sent is only counted."""

    async def ingest_videos(self, videos: list[VideoInput]) -> Ingested:
        return self._count(len(videos))

    async def ingest_keyword_signals(self, signals: list[SignalsInput]) -> Ingested:
        return self._count(sum(len(hour["keywords"]) for hour in signals))

    def _count(self, received: int) -> Ingested:
        return Ingested(received=received, inserted=0, updated=0, unchanged=0, rejected=[])


class Counts(NamedTuple):
    """A video's newest running totals."""

    collected_at: datetime
    views: int
    likes: int | None
    comments: int | None


class Listings(NamedTuple):
    """What the listings of a part come to; `kept` are all of them, None when they are too many."""

    newest: dict[str, Counts]
    are_in_order: bool
    kept: list[ChartRow] | None


@dataclass
class Work:
    """What all parts of a data set share."""

    into: IngestTarget
    run: Run
    regions: frozenset[str]
    report: IngestReport
    on_progress: Progress

    def __post_init__(self) -> None:
        self._done: dict[str, int] = {}

    def done(self, stage: str) -> int:
        return self._done.get(stage, 0)

    def step(self, stage: str, rows: int, *, total: int | None = None, is_end: bool = False) -> None:
        """More `rows` of the stage are done; at its end that is all there was."""
        done = self._done[stage] = self.done(stage) + rows
        self.on_progress(stage, done, done if is_end else total)


async def ingest_dataset(
    path: Path,
    *,
    into: IngestTarget,
    runs: IngestRuns | None = None,
    regions: Collection[str] = (),
    collected_at: datetime | None = None,
    on_progress: Progress = lambda stage, done, total: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> IngestReport:
    """Send what the folder or file at `path` holds to `into`, whole or only what was listed in `regions`.

    With `runs`, a run of the same files that was interrupted goes on where it ended. `collected_at` is when YouTube's
    answers were read. Rows that cannot be used are in the report with file and line; raises DatasetError when a file as
    a whole cannot be used, and the backend's error when a batch fails for good.
    """
    begun = time.monotonic()
    check_regions(regions)
    dataset = open_dataset(path, collected_at=collected_at)
    for part in dataset.parts:
        _check(part)
    report = IngestReport(formats=[part.format for part in dataset.parts], ignored=list(dataset.ignored))
    run = Run(runs, sleep=sleep)
    work = Work(into, run, frozenset(regions), report, on_progress)
    if runs is not None:
        files = [{"name": file.name, "sha256": digest(file)} for part in dataset.parts for file in part.files]
        request: dict[str, Any] = {"files": files, "regions": sorted(regions), "packing": PACKING}
        if collected_at is not None:
            request["collected_at"] = collected_at.isoformat()
        await run.begin(request)
        report.resumed = run.resumed
    try:
        for number, part in enumerate(dataset.parts):
            if isinstance(part, Charts):
                await _send_charts(part, f"{number}", work)
            else:
                await _send_videos(part, f"{number}", work)
    except asyncio.CancelledError:
        await _end(run, "interrupted", report)
        raise
    except OndolError:
        await _end(run, "failed", report)
        raise
    report.seconds = time.monotonic() - begun
    await run.end("done", _counts(report))
    return report


def check_regions(regions: Iterable[str]) -> None:
    """Raise DatasetError for the first that is no region."""
    for region in regions:
        if region not in REGIONS:
            raise DatasetError("region_unknown", region=region)


def _check(part: Charts | Videos) -> None:
    """Raise DatasetError when a file cannot be opened or lacks a column, before anything is sent."""
    streams = (part.videos(), part.listings()) if isinstance(part, Charts) else (part.videos(),)
    for rows in streams:
        for _ in rows:
            break


async def _end(run: Run, outcome: Any, report: IngestReport) -> None:
    """Say how it ended, if somebody listens: the run can go on either way."""
    with suppress(OndolError, TimeoutError):
        async with asyncio.timeout(END_WITHIN_SECONDS):
            await run.end(outcome, _counts(report))


def _counts(report: IngestReport) -> dict[str, Any]:
    return {
        "formats": report.formats,
        "videos": vars(report.videos),
        "signals": vars(report.signals),
        "refused": dict(report.refused),
        "skipped": report.skipped,
    }


async def _send_videos(part: Videos, name: str, work: Work) -> None:
    """Videos as they are: streamed, one batch in memory at a time and a few on their way."""

    def make(rows: list[SourcedVideo]) -> list[SourcedVideo]:
        wanted = [row for row in rows if not work.regions or row.video.get("region") in work.regions]
        filled = add_keywords([row.video for row in wanted])
        return [row._replace(video=video) for row, video in zip(wanted, filled, strict=True)]

    def on_sent(rows: int) -> None:
        work.report.videos_read += rows
        work.step("send_videos", rows)

    await work.run.send(
        f"{name}:videos",
        batches(part.videos(), most=VIDEOS_PER_BATCH, make=make),
        call=lambda rows: work.into.ingest_videos([row.video for row in rows]),
        place=_place_of_video,
        totals=work.report.videos,
        report=work.report,
        on_sent=on_sent,
    )
    work.step("send_videos", 0, is_end=True)


async def _send_charts(part: Charts, name: str, work: Work) -> None:
    """Videos with their newest counts, then the signals: what is held in memory is an entry per video."""
    loading = asyncio.create_task(asyncio.to_thread(load_tokenizer))  # a second, while the files are read
    try:
        videos = await asyncio.to_thread(_read_videos, part, work)
        listings = await asyncio.to_thread(_read_listings, part, videos, work)
    finally:
        await loading
    words = await _send_listed(part, name, videos, listings, work)
    if part.has_signals:
        await _send_signals(part, name, words, listings, work)


async def _send_listed(
    part: Charts, name: str, videos: Mapping[str, VideoRow], listings: Listings, work: Work
) -> dict[str, tuple[str, ...]]:
    """Send the videos that were listed in the regions; returns their keywords, and those of all others."""
    file, words, newest = part.videos_file.name, dict[str, tuple[str, ...]](), listings.newest

    def make(rows: list[VideoRow]) -> list[SourcedVideo]:
        made: list[SourcedVideo] = []
        found = keywords_of_many((row.title, row.tags or ()) for row in rows)
        for row, keywords in zip(rows, found, strict=True):
            words[row.video_id] = tuple(keyword.keyword for keyword in keywords)
            if not work.regions or not work.regions.isdisjoint(row.regions):
                video = _video_input(row, newest.get(row.video_id), keywords)
                made.append(SourcedVideo(video, file, row.line))
        return made

    def rows() -> Iterator[VideoRow | Refusal]:
        for row in videos.values():
            if row.last_seen is None and row.video_id not in newest:
                yield Refusal(file, row.line, "never_read", f"video_id {row.video_id!r}")
            else:
                yield row

    await work.run.send(
        f"{name}:videos",
        batches(rows(), most=VIDEOS_PER_BATCH, make=make),
        call=lambda made: work.into.ingest_videos([row.video for row in made]),
        place=_place_of_video,
        totals=work.report.videos,
        report=work.report,
        on_sent=lambda taken: work.step("send_videos", taken, total=len(videos)),
    )
    work.step("send_videos", 0, is_end=True)
    return words


async def _send_signals(
    part: Charts, name: str, words: Mapping[str, tuple[str, ...]], listings: Listings, work: Work
) -> None:
    rows: Iterable[ChartRow] = listings.kept or (row for row in part.listings() if isinstance(row, ChartRow))
    if not listings.are_in_order:  # only then is the whole file held in memory
        rows = sorted(rows, key=lambda row: row.collected_at)
    done, file = 0, part.listings_file.name

    def counted() -> Iterator[ChartRow]:
        nonlocal done
        for row in rows:
            done += 1
            if not work.regions or row.region in work.regions:
                yield row

    def on_sent(taken: int) -> None:
        nonlocal done
        work.step("send_signals", done, total=work.report.chart_rows_read)
        done = 0

    def place(hours: list[HourSignals], rejection: Rejection) -> tuple[str, int]:
        return file, hours[rejection.index].lines[rejection.item or 0]

    await work.run.send(
        f"{name}:signals",
        batches(
            hourly_signals(counted(), keywords=words),
            most=SIGNALS_PER_BATCH,
            make=list,
            size=lambda hour: len(hour.lines),
        ),
        call=lambda hours: work.into.ingest_keyword_signals([hour.signals for hour in hours]),
        place=place,
        totals=work.report.signals,
        report=work.report,
        on_sent=on_sent,
    )
    work.step("send_signals", done, is_end=True)


def _place_of_video(rows: list[SourcedVideo], rejection: Rejection) -> tuple[str, int]:
    return rows[rejection.index].file, rows[rejection.index].line


def _read_videos(part: Charts, work: Work) -> dict[str, VideoRow]:
    """What is said last of each video, with all its regions."""
    videos: dict[str, VideoRow] = {}
    report, is_once = work.report, part.videos_file != part.listings_file
    for number, row in enumerate(part.videos(), start=1):
        report.videos_read += 1
        if isinstance(row, Refusal):
            report.refuse(row)
        elif not row.title:
            report.videos_untitled += 1
        elif row.video_id not in videos:
            videos[row.video_id] = row
        elif is_once:
            report.refuse(Refusal(part.videos_file.name, row.line, "duplicate_video", f"video_id {row.video_id!r}"))
        else:
            videos[row.video_id] = _newer(videos[row.video_id], row)
        if number % ROWS_PER_STEP == 0:
            work.step("read_videos", ROWS_PER_STEP)
    work.step("read_videos", report.videos_read - work.done("read_videos"), is_end=True)
    return videos


def _newer(known: VideoRow, row: VideoRow) -> VideoRow:
    is_newer = known.last_seen is None or (row.last_seen is not None and row.last_seen >= known.last_seen)
    regions = tuple(dict.fromkeys((*known.regions, *row.regions)))
    return (row if is_newer else known)._replace(regions=regions)


def _read_listings(part: Charts, videos: Mapping[str, VideoRow], work: Work) -> Listings:
    """The newest counts of each video, and whether the rows are in the order of time."""
    newest: dict[str, Counts] = {}
    kept: list[ChartRow] | None = [] if part.has_signals else None
    last, in_order, report = None, True, work.report
    for number, row in enumerate(part.listings(), start=1):
        report.chart_rows_read += 1
        if number % ROWS_PER_STEP == 0:
            work.step("read_chart", ROWS_PER_STEP)
        if isinstance(row, Refusal):
            if part.videos_file != part.listings_file:  # else it was told with the videos
                report.refuse(row)
            continue
        if kept is not None:
            kept.append(row)
            kept = kept if len(kept) <= LISTINGS_KEPT else None
        in_order = in_order and (last is None or last <= row.collected_at)
        last = row.collected_at
        if row.video_id not in videos:
            report.chart_rows_untitled += 1
            continue
        known = newest.get(row.video_id)
        if known is None or known.collected_at <= row.collected_at:
            newest[row.video_id] = Counts(row.collected_at, row.views, row.likes, row.comments)
    work.step("read_chart", report.chart_rows_read - work.done("read_chart"), is_end=True)
    return Listings(newest, in_order, kept)


def _video_input(row: VideoRow, counts: Counts | None, keywords: Iterable[Keyword]) -> VideoInput:
    """The same whatever regions were asked for, so that a later run for more regions changes nothing."""
    collected_at = counts.collected_at if counts else row.last_seen
    assert collected_at is not None
    given: dict[str, Any] = {
        "video_id": row.video_id,
        "title": row.title,
        "collected_at": collected_at.isoformat(),
        "keywords": [
            {"keyword": keyword.keyword, "relevance": keyword.relevance, "source": "youtube_api"}
            for keyword in keywords
        ],
        "published_at": row.published_at.isoformat(),
        "region": row.regions[0],
        "privacy_status": "public" if row.is_public else None,  # it was listed for everybody
        "channel_id": row.channel_id,
        "channel_name": row.channel,
        "duration_seconds": row.duration_seconds,
        "category_id": row.category_id,
        "tags": None if row.tags is None else list(row.tags),
    }
    if counts is not None:
        given |= {"view_count": counts.views, "like_count": counts.likes, "comment_count": counts.comments}
    return cast(VideoInput, {name: value for name, value in given.items() if value is not None})
