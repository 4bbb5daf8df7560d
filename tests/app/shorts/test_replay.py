from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import DatasetError
from app.shorts.replay import replay_trends, snapshots

from .datasets import chart_row, video_row, write_dataset
from .fakes import FakeShorts, trend

MORNING = datetime(2026, 7, 10, 0, 24, 48, tzinfo=UTC)
EVENING = datetime(2026, 7, 10, 12, 24, 48, tzinfo=UTC)
NEXT_DAY = datetime(2026, 7, 11, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    chart = [
        chart_row(EVENING.isoformat()),
        chart_row(MORNING.isoformat()),
        chart_row(MORNING.isoformat(), video="video000002"),
        chart_row("2026-07-11T00:00:00Z", country="US"),
        chart_row("never"),
    ]
    return write_dataset(tmp_path, chart=chart, videos=[video_row()])


def test_snapshots_are_the_distinct_times_of_one_region_in_order(folder: Path) -> None:
    assert snapshots(folder, region="KR") == [MORNING, EVENING]
    assert snapshots(folder, region=None) == [MORNING, EVENING, NEXT_DAY]


async def test_a_replay_asks_at_each_snapshot_and_returns_what_was_found(folder: Path) -> None:
    shorts = FakeShorts()
    shorts.found = {EVENING: [trend("김치", at=EVENING), trend("밥", at=EVENING, score=0.7)]}
    steps: list[tuple[int, int]] = []
    heard: list[str] = []
    report = await replay_trends(
        folder,
        into=shorts,
        region="KR",
        on_progress=lambda done, total: steps.append((done, total)),
        on_trend=lambda found: heard.append(found.keyword),
    )
    assert shorts.detected == [(MORNING, "KR"), (EVENING, "KR")]
    assert (report.steps, report.tested, report.found, report.notified) == (2, 20, 2, 2)
    assert [found.keyword for found in report.trends] == heard == ["김치", "밥"]
    assert steps == [(1, 2), (2, 2)]


async def test_a_replay_of_everywhere_asks_once_for_all_regions(folder: Path) -> None:
    shorts = FakeShorts()
    shorts.found = {MORNING: [trend("김치", at=MORNING)]}
    report = await replay_trends(folder, into=shorts, region=None)
    assert shorts.detected == [(MORNING, None), (EVENING, None), (NEXT_DAY, None)]
    assert (report.region, report.steps, len(report.trends)) == (None, 3, 1)


async def test_an_unknown_region_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="XX"):
        await replay_trends(folder, into=FakeShorts(), region="XX")
