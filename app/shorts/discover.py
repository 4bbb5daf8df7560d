"""Finds videos: searches and charts of YouTube page by page, each page queued in the transaction that notes it as read.

A page costs quota, so none is asked for twice: an interrupted run goes on after the last page that was noted.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ..errors import OndolError, QuotaSpentError, SourceError
from .calls import persist
from .freshness import EndedRun, IngestRun, QueuedVideos, QueueInput, RunOutcome, RunSource
from .youtube import SearchPage, Unusable, VideosPage

__all__ = ["Discovery", "DiscoveryReport", "DiscoverySource", "DiscoveryTarget", "discover_videos"]

PAGE = 50
MOST_RANK = 1_000


class DiscoverySource(Protocol):
    """What discovery needs of the source; YouTube is one."""

    async def search(self, query: str, *, region: str, page_token: str | None) -> SearchPage: ...

    async def most_popular(self, region: str, *, page_token: str | None) -> VideosPage: ...


class DiscoveryTarget(Protocol):
    """What discovery needs of the backend; ShortsApi with the secret key is one."""

    async def begin_ingest_run(self, source: RunSource, /, *, request: Mapping[str, Any]) -> IngestRun: ...

    async def save_ingest_run(
        self, run: UUID, /, *, state: Mapping[str, Any], videos: Sequence[QueueInput]
    ) -> QueuedVideos: ...

    async def end_ingest_run(self, run: UUID, /, *, outcome: RunOutcome, counts: Mapping[str, Any]) -> EndedRun: ...


@dataclass(frozen=True)
class Discovery:
    """What to look for: `queries` in each of `regions`, `pages` pages of 50 each, the charts, and single videos."""

    queries: Sequence[str] = ()
    regions: Sequence[str] = ("KR",)
    pages: int = 1
    chart: bool = False
    video_ids: Sequence[str] = ()

    @property
    def searches(self) -> int:
        """The most calls of search.list, each one of the day's searches."""
        return len(self._plan("search")) * self.pages

    @property
    def units(self) -> int:
        """The most units: pages of charts, and all that is found by fifty a call. Channels come on top."""
        charts = len(self._plan("chart")) * self.pages
        found = (self.searches + charts) * PAGE + len(set(self.video_ids))
        return charts + -(-found // PAGE)

    @property
    def plan(self) -> list[Step]:
        """The steps in their order, which is the same at every run of the same request."""
        return [*self._plan("search"), *self._plan("chart"), *self._plan("videos")]

    @property
    def request(self) -> dict[str, Any]:
        """What names the run: the same request goes on where it was interrupted."""
        return {
            "queries": list(self.queries),
            "regions": list(self.regions),
            "pages": self.pages,
            "chart": self.chart,
            "video_ids": list(self.video_ids),
        }

    def _plan(self, kind: str) -> list[Step]:
        regions = list(dict.fromkeys(self.regions))
        if kind == "search":
            return [Step(kind, query, region) for query in dict.fromkeys(self.queries) for region in regions]
        if kind == "chart":
            return [Step(kind, None, region) for region in regions] if self.chart else []
        return [Step(kind, None, None)] if self.video_ids else []


class Step(NamedTuple):
    kind: str
    query: str | None
    region: str | None


@dataclass
class DiscoveryReport:
    """What one run found. `quota` is the quota that ended it early; the rest is asked when it is run again."""

    resumed: bool = False
    pages: int = 0
    found: int = 0
    queued: int = 0
    known: int = 0
    refused_count: int = 0
    refusals: list[Unusable] = field(default_factory=list)
    quota: QuotaSpentError | None = None

    @property
    def counts(self) -> dict[str, int]:
        names = ("pages", "found", "queued", "known", "refused_count")
        return {name: getattr(self, name) for name in names}


async def discover_videos(
    api: DiscoveryTarget,
    youtube: DiscoverySource,
    wanted: Discovery,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> DiscoveryReport:
    """Read what is `wanted` page by page into the queue of videos to refresh.

    A spent quota ends the run early (`report.quota`) and is no error; what YouTube refuses or fails at is raised. The
    same call within 24 hours goes on after the last page that was noted.
    """
    run = await persist(lambda: api.begin_ingest_run("youtube", request=wanted.request), sleep)
    report = DiscoveryReport(resumed=run.resumed)
    outcome: RunOutcome = "failed"
    try:
        await _read(api, youtube, wanted, run, report, on_progress=on_progress, sleep=sleep)
        outcome = "done"
    except QuotaSpentError as error:
        report.quota = error
        outcome = "interrupted"
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):
            outcome = "interrupted"
        # What went wrong first is what is told; a run without an end can be begun again all the same.
        with suppress(OndolError, TimeoutError):
            async with asyncio.timeout(10):
                await api.end_ingest_run(run.id, outcome=outcome, counts=report.counts)
        raise
    await persist(lambda: api.end_ingest_run(run.id, outcome=outcome, counts=report.counts), sleep)
    return report


async def _read(
    api: DiscoveryTarget,
    youtube: DiscoverySource,
    wanted: Discovery,
    run: IngestRun,
    report: DiscoveryReport,
    *,
    on_progress: Callable[[int, int], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    plan = wanted.plan
    place = _Place.of(run.state)
    resumed_token = place.token
    while place.step < len(plan):
        on_progress(place.step * wanted.pages + place.page, len(plan) * wanted.pages)
        step = plan[place.step]
        try:
            ids, unusable, token = await _page(youtube, step, wanted, place.token)
        except SourceError as error:
            # A token is good for a while only: what it led to is given up, the rest of the run is not.
            if place.token is None or place.token != resumed_token or "invalidPageToken" not in str(error):
                raise
            ids, unusable, token = [], [], None
        found = [_found(step, video_id, place.rank + index) for index, video_id in enumerate(ids, start=1)]
        place = place.after(found=len(ids), token=token, pages=wanted.pages)
        queued = await _save(api, run.id, place, found, sleep)
        report.pages += 1
        report.found += len(ids)
        report.queued += queued.queued
        report.known += queued.merged + queued.fresh
        report.refused_count += len(unusable) + len(queued.rejected)
        report.refusals += [*unusable, *(Unusable(row.code, row.message) for row in queued.rejected)]
    on_progress(len(plan) * wanted.pages, len(plan) * wanted.pages)


async def _save(
    api: DiscoveryTarget,
    run: UUID,
    place: _Place,
    found: Sequence[QueueInput],
    sleep: Callable[[float], Awaitable[None]],
) -> QueuedVideos:
    return await persist(lambda: api.save_ingest_run(run, state=place._asdict(), videos=found), sleep)


async def _page(
    youtube: DiscoverySource, step: Step, wanted: Discovery, token: str | None
) -> tuple[Sequence[str], Sequence[Unusable], str | None]:
    if step.kind == "search":
        page = await youtube.search(step.query or "", region=step.region or "", page_token=token)
        return page.video_ids, page.unusable, page.next_page_token
    if step.kind == "chart":
        chart = await youtube.most_popular(step.region or "", page_token=token)
        return [video["video_id"] for video in chart.found], chart.unusable, chart.next_page_token
    return list(dict.fromkeys(wanted.video_ids)), [], None


class _Place(NamedTuple):
    """Where a run is; stored as the run's state after every page."""

    step: int = 0
    page: int = 0
    rank: int = 0
    token: str | None = None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> _Place:
        return cls(**{name: state[name] for name in cls._fields if name in state})

    def after(self, *, found: int, token: str | None, pages: int) -> _Place:
        if token is None or self.page + 1 >= pages:
            return _Place(step=self.step + 1)
        return _Place(self.step, self.page + 1, self.rank + found, token)


def _found(step: Step, video_id: str, rank: int) -> QueueInput:
    found = QueueInput(video_id=video_id, reason="requested" if step.kind == "videos" else "discovered")
    if step.region is not None:
        found["region"] = step.region
    if step.query is not None and rank <= MOST_RANK:
        found["keyword"] = " ".join(unicodedata.normalize("NFKC", step.query).casefold().split())
        found["rank"] = rank
    return found
