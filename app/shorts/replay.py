"""Runs detection over a data set that was ingested, on the data set's own clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from .api import TrendRow
from .dataset import ChartRow, dataset_files, read_chart
from .detect import Detection
from .ingest import check_regions

__all__ = ["ReplayReport", "ReplayTarget", "replay_trends", "snapshots"]


class ReplayTarget(Protocol):
    """What a replay needs of the backend; ShortsApi is one."""

    async def detect_trends(self, at: datetime, /, *, region: str | None) -> Detection: ...

    async def trending_keywords(self, region: str | None, /, *, detected_at: datetime) -> list[TrendRow]: ...


@dataclass
class ReplayReport:
    """What detection found at `steps` snapshots; `trends` in the order of their detection. No region is every one."""

    region: str | None
    steps: int = 0
    tested: int = 0
    found: int = 0
    notified: int = 0
    trends: list[TrendRow] = field(default_factory=list)


async def replay_trends(
    folder: Path,
    *,
    into: ReplayTarget,
    region: str | None = "KR",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_trend: Callable[[TrendRow], None] = lambda trend: None,
) -> ReplayReport:
    """Call `detect_trends` for each snapshot of `region` (None: of any) in the order of time, after ingest.

    Repeating a replay tells nobody twice: time only moves forward in the database.
    """
    check_regions([region] if region is not None else [])
    report = ReplayReport(region)
    times = snapshots(folder, region=region)
    for at in times:
        detection = await into.detect_trends(at, region=region)
        report.steps += 1
        report.tested += detection.tested
        report.found += detection.found
        report.notified += detection.notified
        if detection.found:
            for trend in await into.trending_keywords(region, detected_at=at):
                report.trends.append(trend)
                on_trend(trend)
        on_progress(report.steps, len(times))
    return report


def snapshots(folder: Path, *, region: str | None) -> list[datetime]:
    """The distinct times at which `region` (None: any) was collected, in order."""
    chart_file, _ = dataset_files(folder)
    rows = read_chart(chart_file)
    return sorted({row.collected_at for row in rows if isinstance(row, ChartRow) and region in (None, row.region)})
