"""Time of a detection run, beside the naive query over the raw searches that it was counted from; and of a forecast.

A fresh stack is started for it. For each size searches are invented, of which 20 keywords burst in the newest hour;
all have to name these 20 before anything is timed. Then they take turns: the naive query reads two days of searches
(and counts them, or distinct people as our counts do); our run carries the states on by the hour that ended and tests
the newest one. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from scripts.bench.planted_searches import BURSTS, Connection, Size, plant, plant_series
from scripts.local_stack import for_tests

SIZES = {"small": Size("small", 20_000, 1_000_000), "large": Size("large", 200_000, 10_000_000)}
FORECAST_KEYWORDS = 5_000
HORIZON = 48  # hours
WAIT = timedelta(minutes=40)  # from the begin of the newest hour to the run that tests it

# What one writes first: the day beside the day before. There is an index on the time.
DAYS = """
    select per_keyword.*
    from (
        select
            search.search_query as keyword,
            count({counted}) filter (where search.session_started_at >= %(day_ago)s) as recent,
            count({counted}) filter (where search.session_started_at < %(day_ago)s) as earlier
        from bench.searches as search
        where
            search.session_started_at >= %(two_days_ago)s
            and search.session_started_at < %(now)s
        group by search.search_query
    ) as per_keyword
    where
        per_keyword.recent >= 30
        and per_keyword.recent >= 2 * per_keyword.earlier
    order by per_keyword.recent / greatest(per_keyword.earlier, 1.0::float8) desc
"""
NAIVE = DAYS.format(counted="*")
# What our counts are of: one person who searches a hundred times is one.
PEOPLE = DAYS.format(counted="distinct search.user_id")
FOLD = "select private.fold_keyword_states(%(at)s)"
DETECT = "select public.detect_trends(%(at)s)"
FORECAST_TRENDS = "select private.forecast_trends(%(at)s, %(keywords)s)"
FORECAST = """
    select count(*)
    from bench.series as planted
    cross join lateral private.forecast(planted.series, %(horizon)s) as forecast
    where forecast.point is not null
"""


@dataclass(frozen=True)
class Detection:
    """One size: rows and bytes that each way reads from, median milliseconds, blocks of 8 KiB, what was named."""

    size: str
    keywords: int
    keywords_in_hour: int
    searches: int
    signals: int
    searches_mb: int
    states_mb: int
    naive_ms: float
    people_ms: float
    fold_ms: float
    detect_ms: float
    idle_ms: float
    naive_blocks: int
    fold_blocks: int
    detect_blocks: int
    naive_named: int
    ours_named: int

    @property
    def run_ms(self) -> float:
        """The first run of an hour; the others of it have nothing to carry on."""
        return self.fold_ms + self.detect_ms

    @property
    def detect_ratio(self) -> float:
        return self.detect_ms / self.naive_ms

    @property
    def run_ratio(self) -> float:
        return self.run_ms / self.naive_ms

    @property
    def people_ratio(self) -> float:
        return self.detect_ms / self.people_ms

    @property
    def mean_ratio(self) -> float:
        """A run of every five minutes with something new, of which the first in an hour carries the states on."""
        return (self.detect_ms + self.fold_ms / 12) / self.naive_ms


@dataclass(frozen=True)
class Forecasts:
    """Milliseconds of all keywords together: with reading and writing, and of the forecast function alone."""

    keywords: int
    predictions: int
    forecast_trends_ms: float
    forecast_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=(*SIZES, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is timed")
    parser.add_argument("--no-forecast", action="store_true", help="detection only")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    sizes = list(SIZES.values()) if options.size == "both" else [SIZES[options.size]]
    with (
        for_tests.running() as stack,
        psycopg.connect(stack.database_url("supabase_admin"), autocommit=True, prepare_threshold=None) as connection,
    ):
        # Its jobs would look at the same tables.
        connection.execute("update cron.job set active = false")
        detections = [measure(connection, size, rounds=options.rounds) for size in sizes]
        forecasts = None if options.no_forecast else measure_forecast(connection, rounds=min(options.rounds, 3))
    report(detections, forecasts, as_json=options.json)
    return 0


def measure(connection: Connection, size: Size, *, rounds: int) -> Detection:
    """Plant, see that both ways name the bursts, then time them in turns. Each round undoes what it wrote."""
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    plant(connection, size, newest)
    end = newest + timedelta(hours=1)
    named = {
        "at": newest + WAIT,
        "now": end,
        "day_ago": end - timedelta(days=1),
        "two_days_ago": end - timedelta(days=2),
    }
    tidy(connection)
    naive_named, ours_named = agree(connection, named)
    times: dict[str, list[float]] = {"naive": [], "people": [], "fold": [], "detect": [], "idle": []}
    for _ in range(rounds):
        tidy(connection)
        times["naive"].append(milliseconds(connection, NAIVE, named))
        times["people"].append(milliseconds(connection, PEOPLE, named))
        with connection.transaction(force_rollback=True):
            times["fold"].append(milliseconds(connection, FOLD, named))
            times["detect"].append(milliseconds(connection, DETECT, named))
            times["idle"].append(milliseconds(connection, DETECT, named))
    tidy(connection)
    with connection.transaction(force_rollback=True):
        read = {name: blocks(connection, query, named) for name, query in (("naive", NAIVE), ("fold", FOLD))}
        read["detect"] = blocks(connection, DETECT, named)
    median = {name: statistics.median(each) for name, each in times.items()}
    return Detection(
        size=size.name,
        keywords=value(connection, "select count(distinct keyword) from private.keyword_signals"),
        keywords_in_hour=value(connection, "select count(*) from private.keyword_signals where bucket = %s", newest),
        searches=value(connection, "select count(*) from bench.searches"),
        signals=value(connection, "select count(*) from private.keyword_signals"),
        searches_mb=value(connection, "select pg_total_relation_size('bench.searches') / 1000000"),
        states_mb=value(connection, "select pg_total_relation_size('private.keyword_states') / 1000000"),
        naive_ms=median["naive"],
        people_ms=median["people"],
        fold_ms=median["fold"],
        detect_ms=median["detect"],
        idle_ms=median["idle"],
        naive_blocks=read["naive"],
        fold_blocks=read["fold"],
        detect_blocks=read["detect"],
        naive_named=naive_named,
        ours_named=ours_named,
    )


def agree(connection: Connection, named: dict[str, datetime]) -> tuple[int, int]:
    """How many keywords each way names; the planted bursts have to be among them."""
    bursts = {row[0] for row in connection.execute("select keyword from bench.keywords where is_burst")}
    naive = {row[0] for row in connection.execute(NAIVE.encode(), named)}
    with connection.transaction(force_rollback=True):
        connection.execute(DETECT, named)
        ours = {row[0] for row in connection.execute("select keyword from public.trending_keywords")}
    people = {row[0] for row in connection.execute(PEOPLE.encode(), named)}
    for name, found in (("the naive query", naive), ("that of people", people), ("detection", ours)):
        if len(bursts) != BURSTS or bursts - found:
            raise SystemExit(f"bench: of {len(bursts)} bursts {name} does not name {sorted(bursts - found)}")
    return len(naive), len(ours)


def measure_forecast(connection: Connection, *, keywords: int = FORECAST_KEYWORDS, rounds: int = 3) -> Forecasts:
    """Two weeks of hourly counts of each keyword; every round writes its predictions anew."""
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    plant_series(connection, keywords, newest)
    named = {"at": newest + WAIT, "keywords": keywords, "horizon": HORIZON}
    whole, alone, predictions = [], [], 0
    for _ in range(rounds):
        tidy(connection)
        with connection.transaction(force_rollback=True):
            whole.append(milliseconds(connection, FORECAST_TRENDS, named))
            predictions = value(connection, "select count(*) from public.trend_predictions")
        alone.append(milliseconds(connection, FORECAST, named))
    if predictions != keywords or value(connection, FORECAST, named) != keywords:
        raise SystemExit(f"bench: {predictions} predictions for {keywords} keywords")
    return Forecasts(keywords, predictions, statistics.median(whole), statistics.median(alone))


def tidy(connection: Connection) -> None:
    """What a round undid is cleared away before the next: nobody's time. A test's transaction cannot, and need not."""
    if connection.autocommit:
        connection.execute("vacuum analyze private.keyword_states, private.keyword_signals, private.signal_marks")
        connection.execute("checkpoint")


def milliseconds(connection: Connection, query: str, named: dict[str, Any]) -> float:
    """From the question to the last row of the answer."""
    begun = time.perf_counter()
    connection.execute(query.encode(), named).fetchall()
    return (time.perf_counter() - begun) * 1000


def blocks(connection: Connection, query: str, named: dict[str, Any]) -> int:
    """How often the statement, and all that it calls, asked for a block of 8 KiB."""
    explained = f"explain (analyze, buffers, timing off, format json) {query}"
    plan = value(connection, explained, named)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def value(connection: Connection, query: str, named: Any = None) -> Any:
    """The first column of the first row."""
    given = named if isinstance(named, dict) or named is None else (named,)
    row = connection.execute(query.encode(), given).fetchone()
    assert row
    return row[0]


Cell = Callable[[Detection], str]
ROWS: tuple[tuple[str, Cell], ...] = (
    ("keywords in two days", lambda each: f"{each.keywords:,}"),
    ("of these in the newest hour", lambda each: f"{each.keywords_in_hour:,}"),
    ("searches (MB)", lambda each: f"{each.searches:,} ({each.searches_mb:,})"),
    ("hourly counts", lambda each: f"{each.signals:,}"),
    ("states, MB", lambda each: f"{each.states_mb:,}"),
    ("naive query, ms", lambda each: f"{each.naive_ms:,.0f}"),
    ("the same of distinct people, ms", lambda each: f"{each.people_ms:,.0f}"),
    ("detection, ms", lambda each: f"{each.detect_ms:,.1f}"),
    ("carrying the states on, once an hour, ms", lambda each: f"{each.fold_ms:,.0f}"),
    ("both, ms", lambda each: f"{each.run_ms:,.0f}"),
    ("a run with nothing new, ms", lambda each: f"{each.idle_ms:,.1f}"),
    ("detection of naive", lambda each: f"1/{1 / each.detect_ratio:,.0f}"),
    ("detection of distinct people", lambda each: f"1/{1 / each.people_ratio:,.0f}"),
    ("mean of an hour's 12 runs of naive", lambda each: f"1/{1 / each.mean_ratio:,.0f}"),
    ("both of naive", lambda each: f"1/{1 / each.run_ratio:,.1f}"),
    ("blocks: naive", lambda each: f"{each.naive_blocks:,}"),
    ("blocks: detection", lambda each: f"{each.detect_blocks:,}"),
    ("blocks: carrying on", lambda each: f"{each.fold_blocks:,}"),
    ("named: naive, detection", lambda each: f"{each.naive_named:,}, {each.ours_named:,}"),
)


def growth(detections: list[Detection]) -> dict[str, float]:
    """How many times as long the last size takes as the first, beside how many times the keywords and searches."""
    first, last = detections[0], detections[-1]
    return {
        "keywords": last.keywords / first.keywords,
        "searches": last.searches / first.searches,
        "people": last.people_ms / first.people_ms,
        "naive": last.naive_ms / first.naive_ms,
        "detect": last.detect_ms / first.detect_ms,
        "fold": last.fold_ms / first.fold_ms,
        "run": last.run_ms / first.run_ms,
    }


def report(detections: list[Detection], forecasts: Forecasts | None, *, as_json: bool) -> None:
    grown = growth(detections) if len(detections) > 1 else None
    if as_json:
        ratios = ("run_ms", "detect_ratio", "people_ratio", "mean_ratio", "run_ratio")
        figures = [{**asdict(each), **{name: getattr(each, name) for name in ratios}} for each in detections]
        print(json.dumps({"detection": figures, "growth": grown, "forecast": forecasts and asdict(forecasts)}))
        return
    table = Table(title="Detection of the newest hour, beside the naive query over raw searches", title_justify="left")
    table.add_column("")
    for each in detections:
        table.add_column(each.size, justify="right")
    if grown:
        table.add_column("growth", justify="right")
    factors = {
        "keywords in two days": "keywords",
        "naive query, ms": "naive",
        "the same of distinct people, ms": "people",
        "detection, ms": "detect",
        "carrying the states on, once an hour, ms": "fold",
        "both, ms": "run",
    }
    for name, cell in ROWS:
        factor = [f"{grown[factors[name]]:.1f}" if name in factors else ""] if grown else []
        table.add_row(name, *(cell(each) for each in detections), *factor)
    console = Console()
    console.print(table)
    if forecasts:
        console.print(
            f"Forecast of {forecasts.keywords:,} keywords over two weeks of hours: "
            f"{forecasts.forecast_trends_ms / 1000:.2f} s with reading and writing, "
            f"{forecasts.forecast_ms / 1000:.2f} s the forecast function alone ({HORIZON} hours ahead).",
            highlight=False,
        )


if __name__ == "__main__":
    raise SystemExit(main())
