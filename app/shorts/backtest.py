"""Tries detection, forecast and the ranking of surges on a data set's own clock, as the database has them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Protocol

from ..errors import DatasetError
from .backtest_data import BurstSeries, HourlySeries, open_backtest, read_bursts, read_hourly
from .backtest_metrics import JudgedForecast, judge_forecast
from .backtest_nab import Labelled, false_alarms, nab_score, windows_hit
from .backtest_surges import (
    Candidate,
    Day,
    Question,
    Ranked,
    best_scored,
    days_of,
    judge_ranking,
    most_mentioned,
    questions_of,
    shuffled_days,
    surging_today,
)
from .dataset import ChartRow, VideoRow
from .detect import BurstBacktest
from .forecast import SeriesForecast
from .formats import Charts
from .ingest import check_regions
from .keywords import keywords_of_many
from .signals import hourly_signals

__all__ = [
    "BacktestTarget",
    "BurstReport",
    "BurstRow",
    "ChartReport",
    "ForecastReport",
    "Rings",
    "run_backtest",
]

MOST_HOURS_AHEAD = 168
MOST_HOURS_PAST = 100_000
SCORES_PER_CALL = 50_000
HOUR = 3600
LEAST_IN_AN_HOUR = 3  # fewer ring with no detector

Progress = Callable[[str, int, int | None], None]


class BacktestTarget(Protocol):
    """What a backtest needs of the backend; ShortsApi is one."""

    async def backtest_bursts(
        self, counts: Sequence[float | None], *, bin_seconds: int, first_at: datetime
    ) -> BurstBacktest: ...

    async def backtest_forecast(self, series: Sequence[float | None], *, horizon: int) -> SeriesForecast: ...

    async def backtest_surges(
        self, *, today: Sequence[float], usual: Sequence[float], fresh: Sequence[float]
    ) -> list[float]: ...


@dataclass(frozen=True)
class BurstRow:
    """One labelled series: `hits` of its `windows` were found; `false_at` are the times of the other alarms."""

    name: str
    bins: int
    windows: int
    hits: int
    false_at: list[datetime]
    score: float


@dataclass(frozen=True)
class BurstReport:
    """The score of the Numenta Anomaly Benchmark, standard profile, over all series; None without a labelled window."""

    score: float | None
    series: list[BurstRow]
    kind: str = "bursts"


@dataclass(frozen=True)
class ForecastReport:
    """Means over series; `flat` ones, whose season is always the same or unknown, are left out.

    `mase` holds mean and median of ours, of the seasonal naive and of the last number repeated.
    """

    series: int
    flat: int
    mase: dict[str, tuple[float, float]]
    smape: float
    coverage: float
    mase_of_each: list[float] = field(repr=False, default_factory=list)
    kind: str = "forecasts"


@dataclass(frozen=True)
class Rings:
    """How often something rang in `keyword_days`."""

    alarms: int
    keyword_days: int

    @property
    def per_keyword_day(self) -> float:
        return self.alarms / self.keyword_days if self.keyword_days else 0.0


@dataclass(frozen=True)
class ChartReport:
    """Who names tomorrow's surges of a region best, among `most` keywords a day.

    `chosen_on` are the figures of the first half of the days, on which weights may be chosen, `judged_on` those of the
    second. `false_rings` is history shuffled by `seed`, in which nothing happens; `rings` the detector's on the charts
    as they were.
    """

    region: str
    days: int
    first_day: date
    second_half_from: date
    keywords: int
    most: int
    seed: int
    chosen_on: dict[str, Ranked]
    judged_on: dict[str, Ranked]
    rings: Rings
    false_rings: dict[str, Rings]
    kind: str = "charts"


async def run_backtest(
    path: Path,
    *,
    into: BacktestTarget,
    region: str = "KR",
    most: int = 20,
    seed: int = 1,
    on_progress: Progress = lambda stage, done, total: None,
) -> BurstReport | ForecastReport | ChartReport:
    """Recognise what `path` holds, and try on it what is made for it; writes nothing.

    Raises DatasetError when it is of no known form, or too short to try anything on.
    """
    check_regions([region])
    opened = open_backtest(path)
    if isinstance(opened, Charts):
        return await try_charts(opened, into, region=region, most=most, seed=seed, on_progress=on_progress)
    if (opened / "windows.json").is_file():
        return await try_bursts(read_bursts(opened), into, on_progress)
    return await try_forecasts(read_hourly(opened), into, on_progress)


async def try_bursts(every: Sequence[BurstSeries], into: BacktestTarget, on_progress: Progress) -> BurstReport:
    judged: list[Labelled] = []
    rows: list[BurstRow] = []
    for series in every:
        answer = await into.backtest_bursts(series.counts, bin_seconds=series.bin_seconds, first_at=series.first_at)
        one = Labelled(len(series.counts), series.windows, answer.alarms)
        judged.append(one)
        times = [series.first_at + timedelta(seconds=series.bin_seconds * place) for place in false_alarms(one)]
        score = nab_score([one]) if one.windows else 0.0
        rows.append(BurstRow(series.name, one.bins, len(one.windows), windows_hit(one), times, score))
        on_progress("backtest", len(rows), len(every))
    return BurstReport(nab_score(judged) if any(one.windows for one in judged) else None, rows)


async def try_forecasts(every: Sequence[HourlySeries], into: BacktestTarget, on_progress: Progress) -> ForecastReport:
    judged: list[JudgedForecast] = []
    for done, series in enumerate(every, start=1):
        came = series.came[:MOST_HOURS_AHEAD]
        answer = await into.backtest_forecast(series.past[-MOST_HOURS_PAST:], horizon=len(came))
        one = judge_forecast(series.past, came, point=answer.point, lower=answer.lower, upper=answer.upper)
        judged.extend([one] if one else [])
        on_progress("backtest", done, len(every))
    if not judged:
        raise DatasetError("backtest_no_season", count=len(every))
    errors = {
        "ours": [one.mase for one in judged],
        "seasonal_naive": [one.seasonal_mase for one in judged],
        "persistence": [one.persistence_mase for one in judged],
    }
    return ForecastReport(
        series=len(judged),
        flat=len(every) - len(judged),
        mase={name: (fmean(values), median(values)) for name, values in errors.items()},
        smape=fmean(one.smape for one in judged),
        coverage=fmean(one.coverage for one in judged),
        mase_of_each=errors["ours"],
    )


async def try_charts(
    charts: Charts, into: BacktestTarget, *, region: str, most: int, seed: int, on_progress: Progress
) -> ChartReport:
    videos = [row for row in charts.videos() if isinstance(row, VideoRow) and row.title]
    found = keywords_of_many((video.title, video.tags or ()) for video in videos)
    keywords = {video.video_id: [each.keyword for each in those] for video, those in zip(videos, found, strict=True)}
    listings = [row for row in charts.listings() if isinstance(row, ChartRow) and row.region == region]
    listings.sort(key=lambda row: row.collected_at)
    days = days_of(listings, keywords=keywords, region=region)
    questions = questions_of(days)
    if len(questions) < 2:
        raise DatasetError("backtest_too_few_days", region=region, days=len(days))
    hours = hours_of(listings, keywords)
    middle = len(questions) // 2
    halves = (questions[:middle], questions[middle:])
    ranked = [await rank(half, days, into, most) for half in halves]
    distinct = len({keyword for day in days for keyword in day.mentions})
    rings = await ring(hours, into, lambda done, total: on_progress("backtest", done, total))
    mixed = await ring(
        shuffled_hours(hours, seed=seed), into, lambda done, total: on_progress("backtest_shuffled", done, total)
    )
    nothing = questions_of(shuffled_days(days, seed=seed))
    quiet = {
        "ours": Rings(mixed, distinct * len(days)),
        "persistence": Rings(
            sum(each.surges_today for question in nothing for each in question.candidates), distinct * len(nothing)
        ),
        "raw_counts": Rings(
            sum(len(most_mentioned(question.candidates, most)) for question in nothing), distinct * len(nothing)
        ),
    }
    return ChartReport(
        region=region,
        days=len(days),
        first_day=days[0].day,
        second_half_from=days[questions[middle].place].day,
        keywords=distinct,
        most=most,
        seed=seed,
        chosen_on=ranked[0],
        judged_on=ranked[1],
        rings=Rings(rings, distinct * len(days)),
        false_rings=quiet,
    )


async def rank(
    questions: Sequence[Question], days: Sequence[Day], into: BacktestTarget, most: int
) -> dict[str, Ranked]:
    """How well each way to rank does on the same questions."""
    named = {
        "ours": [best_scored(one.candidates, await scores_of(one.candidates, into), most) for one in questions],
        "persistence": [surging_today(one.candidates, most) for one in questions],
        "raw_counts": [most_mentioned(one.candidates, most) for one in questions],
    }
    return {name: judge_ranking(days, questions, names, most=most) for name, names in named.items()}


async def scores_of(candidates: Sequence[Candidate], into: BacktestTarget) -> list[float]:
    scores: list[float] = []
    for start in range(0, len(candidates), SCORES_PER_CALL):
        some = candidates[start : start + SCORES_PER_CALL]
        scores += await into.backtest_surges(
            today=[each.today for each in some],
            usual=[each.usual for each in some],
            fresh=[each.fresh for each in some],
        )
    return scores


Hours = dict[datetime, dict[str, int]]  # observed hour → keyword → mentions


def hours_of(listings: Iterable[ChartRow], keywords: Mapping[str, Sequence[str]]) -> Hours:
    """As ingest would store them."""
    hours: Hours = {}
    for hour in hourly_signals(listings, keywords=keywords):
        counts = dict(zip(hour.signals["keywords"], hour.signals["mentions"], strict=True))
        hours[datetime.fromisoformat(hour.signals["bucket"]).astimezone(UTC)] = counts
    return hours


def shuffled_hours(hours: Hours, *, seed: int) -> Hours:
    """The same counts of each keyword in observed hours drawn by lot."""
    chance = random.Random(seed)  # noqa: S311 - no secret is made of it
    every = sorted(hours)
    counts: dict[str, list[int]] = {}
    for hour in every:
        for keyword, mentions in hours[hour].items():
            counts.setdefault(keyword, []).append(mentions)
    mixed: Hours = {hour: {} for hour in every}
    for keyword, values in sorted(counts.items()):
        for hour, mentions in zip(chance.sample(every, len(values)), values, strict=True):
            mixed[hour][keyword] = mentions
    return mixed


async def ring(hours: Hours, into: BacktestTarget, on_progress: Callable[[int, int], None]) -> int:
    """How often the detector of bursts rings for any keyword, which it meets in the order of time."""
    first_at, last = min(hours), max(hours)
    places = {hour: int((hour - first_at).total_seconds()) // HOUR for hour in hours}
    highest: dict[str, int] = {}
    for counts in hours.values():
        for keyword, mentions in counts.items():
            highest[keyword] = max(mentions, highest.get(keyword, 0))
    loud = sorted(keyword for keyword, mentions in highest.items() if mentions >= LEAST_IN_AN_HOUR)
    alarms = 0
    for done, keyword in enumerate(loud, start=1):
        series: list[float | None] = [None] * (places[last] + 1)
        for hour, counts in hours.items():
            series[places[hour]] = counts.get(keyword, 0)
        answer = await into.backtest_bursts(series, bin_seconds=HOUR, first_at=first_at)
        alarms += len(answer.alarms)
        on_progress(done, len(loud))
    return alarms
