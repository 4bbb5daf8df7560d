"""A backtest of each kind with a backend that answers what is put into its mouth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from app.errors import DatasetError, OndolError
from app.shorts.backtest import BurstReport, ChartReport, ForecastReport, Rings, run_backtest
from app.shorts.detect import BurstBacktest
from app.shorts.forecast import SeriesForecast

from .datasets import chart_row, video_row, write_dataset


class Mouth:
    """Rings at the highest count, foretells the last number, and ranks by mentions."""

    def __init__(self) -> None:
        self.series: list[list[float | None]] = []

    async def backtest_bursts(
        self, counts: Sequence[float | None], *, bin_seconds: int, first_at: datetime
    ) -> BurstBacktest:
        self.series.append(list(counts))
        known = [count or 0 for count in counts]
        return BurstBacktest(z=[0.0] * len(known), alarms=[known.index(max(known))])

    async def backtest_forecast(self, series: Sequence[float | None], *, horizon: int) -> SeriesForecast:
        last = series[-1] or 0
        return SeriesForecast(
            point=[last] * horizon, lower=[last] * horizon, upper=[last + 1] * horizon, methods=["last"]
        )

    async def backtest_surges(
        self, *, today: Sequence[float], usual: Sequence[float], fresh: Sequence[float]
    ) -> list[float]:
        assert len(today) == len(usual) == len(fresh)
        return list(today)


async def test_labelled_series_are_scored(tmp_path: Path) -> None:
    rows = [f"2015-03-01 {minute // 60:02}:{minute % 60:02}:00,{minute == 100:d}" for minute in range(200)]
    (tmp_path / "A.csv").write_text("\n".join(["timestamp,value", *rows]), encoding="utf-8")
    labels = {"A": [["2015-03-01 01:40:00", "2015-03-01 01:50:00"]]}
    (tmp_path / "windows.json").write_text(json.dumps(labels), encoding="utf-8")
    report = await run_backtest(tmp_path, into=Mouth())
    assert isinstance(report, BurstReport)
    assert report.score == pytest.approx(100)
    (row,) = report.series
    assert (row.name, row.bins, row.windows, row.hits, row.false_at) == ("A", 200, 1, 1, [])


async def test_hourly_series_are_foretold_and_flat_ones_left_out(tmp_path: Path) -> None:
    wave = [float(hour % 24 + hour // 24) for hour in range(48)]  # a day later each hour is one more
    numbers = ",".join(map(str, wave))
    (tmp_path / "train.csv").write_text(f"H1,{numbers}\nH2,{','.join(['7'] * 48)}\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("H1,24,26\nH2,7\n", encoding="utf-8")
    report = await run_backtest(tmp_path, into=Mouth())
    assert isinstance(report, ForecastReport)
    assert (report.series, report.flat) == (1, 1)
    assert report.mase == {"ours": (1, 1), "seasonal_naive": (23.5, 23.5), "persistence": (1, 1)}
    assert report.coverage == 0.5


async def test_series_that_cannot_be_judged_are_told(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("H1,1\n", encoding="utf-8")
    with pytest.raises(DatasetError) as refused:
        await run_backtest(tmp_path, into=Mouth())
    assert refused.value.key == "backtest_no_season"


async def test_charts_are_judged_by_halves_on_the_same_days(tmp_path: Path) -> None:
    chart = [
        chart_row(f"2026-07-{day:02}T03:00:00Z", video=f"video00000{video}")
        for day in range(1, 7)
        for video in range(day)
    ]
    videos = [video_row(f"video00000{video}", title="#김치", published="2026-06-01T00:00:00Z") for video in range(6)]
    mouth = Mouth()
    report = await run_backtest(write_dataset(tmp_path, chart=chart, videos=videos), into=mouth, most=1)
    assert isinstance(report, ChartReport)
    assert (report.days, report.keywords, str(report.second_half_from)) == (6, 1, "2026-07-04")
    # 1 2 | 3: twice 1.5; 1 2 3 | 4: twice 2; 1 2 3 4 | 5: twice 2.5; 1 2 3 4 5 | 6: twice 3.
    for half in (report.chosen_on, report.judged_on):
        assert half["ours"].precision == half["ours"].recall == half["raw_counts"].precision == 1
    # On the second day two mentions surge for nobody.
    assert report.chosen_on["persistence"].precision == 0.5
    assert report.judged_on["persistence"].precision == 1
    assert report.rings == Rings(1, 6)
    assert mouth.series[0][::24] == [1, 2, 3, 4, 5, 6]
    assert mouth.series[0][1] is None
    assert sorted(count for count in mouth.series[1] if count is not None) == [1, 2, 3, 4, 5, 6]
    assert report.false_rings["raw_counts"] == Rings(4, 4)


async def test_a_region_that_was_hardly_observed_is_told(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    for region, key in (("KR", "backtest_too_few_days"), ("JP", "backtest_too_few_days"), ("XX", "region_unknown")):
        with pytest.raises(OndolError) as refused:
            await run_backtest(folder, into=Mouth(), region=region)
        assert refused.value.key == key


def test_a_rate_of_nothing_is_nothing() -> None:
    assert Rings(0, 0).per_keyword_day == 0
    assert Rings(3, 6).per_keyword_day == 0.5
