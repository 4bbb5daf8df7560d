"""What Bright Data found goes into the room: ids into the queue for YouTube's own word, metadata, hourly signals."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from ..errors import DatasetError, OndolError, SourceError
from .api import Ingested, SignalInput, VideoInput
from .bright_data import SOURCE, BrightData, UnansweredError
from .bright_data_fields import ScrapedVideo, posting_signals, scraped_video
from .json_rows import NO_ROW, BrokenRowsError, JsonRows
from .keywords import add_keywords
from .youtube import Unusable

__all__ = [
    "DiscoveredVideo",
    "IngestRunTarget",
    "ScrapeReport",
    "ScrapeTarget",
    "ScrapedRefusal",
    "ScrapedRows",
    "ingest_bright_data",
    "ingest_scraped_file",
    "store_scraped_rows",
]

VIDEOS_PER_BATCH = 1_000
SIGNALS_PER_BATCH = 5_000
HIGHEST_RANK = 1_000
REFUSALS_KEPT = 100  # with their place; beyond it they are only counted
POLL_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 1_800.0

PIECE = 1 << 20  # bytes of a file that are read at a time

Progress = Callable[[str, int, int | None], None]


def _quietly(stage: str, done: int, total: int | None) -> None:
    """Shows nothing."""


class DiscoveredVideo(TypedDict):
    """An id for the queue of checks; `rank` is its place among what the keyword found, 1 to 1,000."""

    video_id: str
    reason: Literal["discovered"]
    keyword: NotRequired[str]
    rank: NotRequired[int]
    region: NotRequired[str]


class ScrapeTarget(Protocol):
    """What scraped videos need of the backend; ShortsApi is one."""

    async def known_videos(self, video_ids: Sequence[str], /) -> set[str]: ...

    async def ingest_videos(self, videos: list[VideoInput], /) -> Ingested: ...

    async def ingest_keyword_signals(self, signals: list[SignalInput], /) -> Ingested: ...

    async def queue_videos(self, videos: Sequence[Any], /) -> Any: ...


class IngestRunTarget(ScrapeTarget, Protocol):
    """And what a run that can be taken up again needs."""

    async def begin_ingest_run(self, source: Any, /, *, request: Any) -> Any: ...

    async def save_ingest_run(self, run_id: Any, /, *, state: Any, videos: Any = None) -> Any: ...

    async def end_ingest_run(self, run_id: Any, /, *, outcome: Any, counts: Any) -> Any: ...


class ScrapedRefusal(TypedDict):
    """Row `index` of the snapshot, delivery or file was not taken."""

    index: int
    code: str
    message: str


@dataclass
class ScrapeReport:
    """What became of the rows: every one is queued, or in `refused`; `known` were only queued, not written."""

    snapshot_id: str | None = None
    received: int = 0
    queued: int = 0
    known: int = 0
    stored: int = 0
    unchanged: int = 0
    signals: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[ScrapedRefusal] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def refused_count(self) -> int:
        return self.refused.total()

    def refuse(self, index: int, code: str, message: str) -> None:
        self.refused[code] += 1
        if len(self.refusals) < REFUSALS_KEPT:
            self.refusals.append(ScrapedRefusal(index=index, code=code, message=message))

    def counts(self) -> dict[str, int]:
        names = ("received", "queued", "known", "stored", "unchanged", "signals")
        return {**{name: getattr(self, name) for name in names}, "refused": self.refused_count}


class ScrapedRows:
    """Takes rows one by one, keeps what can be used, and knows the place of each under its keyword. Pure."""

    def __init__(self, *, region: str | None, read_at: datetime) -> None:
        self.report = ScrapeReport()
        self._region = region
        self._read_at = read_at
        self._found: list[tuple[int, ScrapedVideo]] = []
        self._ranks: Counter[str | None] = Counter()
        self._posted: dict[str, dict[str, VideoInput]] = {}  # region → video → what signals are made of

    def take(self, row: object) -> None:
        index = self.report.received
        self.report.received += 1
        if row is NO_ROW:
            self.report.refuse(index, "not_json", "the row is no JSON, or longer than 1 MB")
            return
        found = scraped_video(row, read_at=self._read_at)
        if isinstance(found, Unusable):
            self.report.refuse(index, found.code, found.detail)
        else:
            self._found.append((index, found))

    def forget(self) -> None:
        """Let go of what waits, for a run that only looks."""
        self._found.clear()

    @property
    def waiting(self) -> int:
        """How many videos are not yet in a batch."""
        return len(self._found)

    def batch(self) -> tuple[list[int], list[VideoInput], list[DiscoveredVideo]]:
        """At most VIDEOS_PER_BATCH of what waits: the rows' places, the videos with keywords, and the ids to check."""
        found, self._found = self._found[:VIDEOS_PER_BATCH], self._found[VIDEOS_PER_BATCH:]
        videos: list[VideoInput] = []
        discovered: list[DiscoveredVideo] = []
        for _, (video, keyword, country) in found:
            region = country or self._region
            if region:
                video["region"] = region
            entry = DiscoveredVideo(video_id=video["video_id"], reason="discovered")
            if keyword:
                self._ranks[keyword] += 1
                entry["keyword"] = keyword
                if self._ranks[keyword] <= HIGHEST_RANK:
                    entry["rank"] = self._ranks[keyword]
            if region:
                entry["region"] = region
            discovered.append(entry)
            videos.append(video)
        videos = add_keywords(videos)
        for video in videos:
            if "region" in video and "published_at" in video:
                self._posted.setdefault(video["region"], {})[video["video_id"]] = video
        return [index for index, _ in found], videos, discovered

    def signals(self) -> list[SignalInput]:
        """Per region, keyword and hour of posting: everything that was taken, counted once."""
        return [
            signal
            for region, videos in self._posted.items()
            for signal in posting_signals(videos.values(), region=region, now=self._read_at)
        ]


async def store_scraped(
    rows: ScrapedRows, *, into: ScrapeTarget, queue: Callable[[list[DiscoveredVideo]], Awaitable[Any]]
) -> None:
    """Store what waits in `rows`. All of it may be repeated, and nothing of it lets a video play.

    The queue comes first, since what was stored a moment ago would pass for fresh. A video that is known is not
    written: a scraped row would lengthen the life of what YouTube said of it.
    """
    while rows.waiting:
        places, videos, discovered = await asyncio.to_thread(rows.batch)
        queued = await queue(discovered)
        refused = {rejection.index: rejection for rejection in queued.rejected} if queued is not None else {}
        rows.report.queued += len(discovered) - len(refused)
        for index, rejection in refused.items():
            rows.report.refuse(places[index], rejection.code, rejection.message)
        known = await into.known_videos(sorted({video["video_id"] for video in videos}))
        taken = [pair for index, pair in enumerate(zip(places, videos, strict=True)) if index not in refused]
        new = [(place, video) for place, video in taken if video["video_id"] not in known]
        rows.report.known += len(taken) - len(new)
        if new:
            answer = await into.ingest_videos([video for _, video in new])
            rows.report.stored += answer.inserted + answer.updated
            rows.report.unchanged += answer.unchanged
            for rejection in answer.rejected:
                rows.report.refuse(new[rejection.index][0], rejection.code, rejection.message)


async def store_scraped_rows(rows: ScrapedRows, *, into: ScrapeTarget) -> ScrapeReport:
    """Store everything that `rows` holds, with its signals."""
    await store_scraped(rows, into=into, queue=into.queue_videos)
    await store_signals(rows, into=into)
    return rows.report


async def store_signals(rows: ScrapedRows, *, into: ScrapeTarget) -> None:
    """Set the counts of everything that `rows` took; call it once, at the end."""
    signals = rows.signals()
    for start in range(0, len(signals), SIGNALS_PER_BATCH):
        answer = await into.ingest_keyword_signals(signals[start : start + SIGNALS_PER_BATCH])
        rows.report.signals += answer.inserted + answer.updated + answer.unchanged


async def ingest_bright_data(
    keywords: Sequence[str],
    *,
    region: str,
    limit: int,
    source: BrightData,
    into: IngestRunTarget,
    snapshot_id: str | None = None,
    trigger_again: bool = False,
    on_progress: Progress = _quietly,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ScrapeReport:
    """Search `keywords` and store what is found; a run that was interrupted goes on with the snapshot it has paid for.

    `snapshot_id` is a snapshot to take instead of triggering one. Raises SourceError; after one that is transient the
    same call takes the snapshot up again. Raises SourceError `bright_data_unsure` when an earlier trigger got no
    answer, unless `trigger_again`: only the console of Bright Data knows whether that one costs.
    """
    begun = time.monotonic()
    request = {"keywords": sorted(set(keywords)), "region": region, "limit": limit, "dataset_id": source.dataset_id}
    if snapshot_id is not None:
        request = {"snapshot_id": snapshot_id, "region": region}
    run = await into.begin_ingest_run("bright_data", request=request)
    state: dict[str, Any] = dict(run.state or {})
    rows = ScrapedRows(region=region, read_at=now())
    try:
        snapshot_id = snapshot_id or state.get("snapshot_id")
        if snapshot_id is None:
            if state.get("triggering") and not trigger_again:
                raise SourceError("bright_data_unsure", keywords=", ".join(keywords))
            # Written before: a crash between the two must not lead to paying twice.
            await into.save_ingest_run(run.id, state={"triggering": True})
            try:
                snapshot_id = await source.trigger(keywords, limit=limit, region=region)
            except UnansweredError:
                raise
            except SourceError:
                await into.save_ingest_run(run.id, state={})
                raise
        state = {"snapshot_id": snapshot_id}
        await into.save_ingest_run(run.id, state=state)
        rows.report.snapshot_id = snapshot_id
        await _until_ready(source, snapshot_id, sleep=sleep, on_progress=on_progress, forget=_forget(into, run.id))

        async def queue(discovered: list[DiscoveredVideo]) -> Any:
            return await into.save_ingest_run(run.id, state=state, videos=discovered)

        async for row in source.rows(snapshot_id):
            rows.take(row)
            if rows.waiting >= VIDEOS_PER_BATCH:
                await store_scraped(rows, into=into, queue=queue)
                on_progress("scraped_rows", rows.report.received, None)
        await store_scraped(rows, into=into, queue=queue)
        await store_signals(rows, into=into)
        on_progress("scraped_rows", rows.report.received, rows.report.received)
    except OndolError:
        await _try_to_end(into, run.id, rows.report)
        raise
    rows.report.seconds = time.monotonic() - begun
    await into.end_ingest_run(run.id, outcome="done", counts=rows.report.counts())
    return rows.report


async def _until_ready(
    source: BrightData,
    snapshot_id: str,
    *,
    sleep: Callable[[float], Awaitable[None]],
    on_progress: Progress,
    forget: Callable[[], Awaitable[object]],
) -> None:
    waited = 0.0
    while (state := await source.progress(snapshot_id)) != "ready":
        if state == "failed":
            await forget()
            raise SourceError(
                "source_refused", source=SOURCE, doing="snapshot", problem=f"the snapshot {snapshot_id} has failed"
            )
        if waited >= LONGEST_WAIT_SECONDS:
            problem = f"the snapshot {snapshot_id} is not ready after {waited:g} s"
            raise SourceError("source_failed", transient=True, source=SOURCE, doing="snapshot", problem=problem)
        await sleep(POLL_SECONDS)
        waited += POLL_SECONDS
        on_progress("scrape", int(waited), None)


def _forget(into: IngestRunTarget, run_id: Any) -> Callable[[], Awaitable[object]]:
    """A snapshot that failed is not taken up again."""

    async def forget() -> object:
        return await into.save_ingest_run(run_id, state={})

    return forget


async def _try_to_end(into: IngestRunTarget, run_id: Any, report: ScrapeReport) -> None:
    """Note that the run stopped; it can be taken up again, noted or not."""
    try:
        await into.end_ingest_run(run_id, outcome="failed", counts=report.counts())
    except OndolError:
        return


async def ingest_scraped_file(
    file: Path, *, region: str | None, into: ScrapeTarget | None, read_at: datetime, on_progress: Progress = _quietly
) -> ScrapeReport:
    """A snapshot that was downloaded before, JSON or one object a line, gzip or not; nothing is stored without `into`.

    Raises DatasetError for a file that cannot be read as a whole; what came before is stored by then.
    """
    begun = time.monotonic()
    rows = ScrapedRows(region=region, read_at=read_at)
    cut = JsonRows()
    try:
        with file.open("rb") as packed:
            is_gzip = packed.read(2) == b"\x1f\x8b"
            packed.seek(0)
            with gzip.open(packed) if is_gzip else packed as plain:
                while data := plain.read(PIECE):
                    for row in cut.feed(data):
                        rows.take(row)
                    if into is None:
                        rows.forget()
                    elif rows.waiting >= VIDEOS_PER_BATCH:
                        await store_scraped(rows, into=into, queue=into.queue_videos)
                    on_progress("scraped_rows", rows.report.received, None)
            for row in cut.close():
                rows.take(row)
    except (OSError, EOFError, zlib.error, BrokenRowsError) as error:
        raise DatasetError("bright_data_file", file=file, problem=str(error)) from error
    if into is not None:
        await store_scraped_rows(rows, into=into)
    rows.report.seconds = time.monotonic() - begun
    return rows.report
