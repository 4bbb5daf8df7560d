"""False alarms of the detectors: on shuffled history, where nothing happens, beside the same history as it was.

Each keyword's counts of a region are put into random snapshots of that region, so that whatever rings is a false alarm.
A fresh stack is started; each history goes in snapshot by snapshot, and `detect_trends` runs after each as it does in
production. The first half of the snapshots, of one shuffle, shows with which settings of a grid at most the promised
share of runs rings. The figures are those of the second half of other shuffles, which chose nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from app.shorts.dataset import ChartRow
from app.shorts.formats import Charts, open_dataset
from app.shorts.keywords import keywords_of_many
from app.shorts.signals import hourly_signals
from app.shorts.tables import Refusal
from scripts.local_stack import for_tests

DATA = Path(__file__).parents[3] / "shared" / "data" / "youtube-8countries-2026-07"
TABLES = "private.keyword_signals, private.signal_marks, private.observed_bins, private.keyword_states, "
TABLES += "private.state_positions, public.trending_keywords, ops.outbox"
WAIT = timedelta(minutes=40)  # from the begin of a snapshot's hour to the run that tests it
LEAST_Z = (4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0)
LEAST_USUAL = (0.2, 0.3, 0.4, 0.5)

Counts = dict[str, int]  # keyword → mentions
History = dict[datetime, dict[str, Counts]]  # hour → region → counts


@dataclass
class Outcome:
    """What a history rang: `runs` are those of a region with a past, `keyword_days` days on which one was watched."""

    name: str
    runs: int = 0
    runs_with_alarm: int = 0
    tests: int = 0
    keyword_days: float = 0
    alarms: int = 0
    over_08: int = 0
    milliseconds: list[float] = field(default_factory=list, repr=False)
    by_region: Counter[str] = field(default_factory=Counter)
    strongest: list[str] = field(default_factory=list)

    @property
    def false_discovery(self) -> float:
        """The share of runs that ring: where nothing happens each alarm is false, so this is what q promises."""
        return self.runs_with_alarm / self.runs if self.runs else 0

    @property
    def alarms_per_keyword_day(self) -> float:
        return self.alarms / self.keyword_days if self.keyword_days else 0


@dataclass(frozen=True)
class Setting:
    """One pair of the grid, and the share of runs of the first half that ring with it."""

    least_usual: float
    least_z: float
    false_discovery: float
    alarms: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of charts")
    parser.add_argument("--shuffles", type=int, default=3, help="how often the history is shuffled for the figures")
    parser.add_argument("--no-choice", action="store_true", help="take the settings as they are, choose none")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    real = read_history(options.data)
    with for_tests.running() as stack, psycopg.connect(stack.database_url(), autocommit=True) as connection:
        chosen = [] if options.no_choice else choose(connection, first_half(shuffled(real, seed=0)))
        outcomes = [
            replay(connection, shuffled(real, seed=seed), f"shuffled {seed}", half=len(real) // 2)
            for seed in range(1, options.shuffles + 1)
        ]
        outcomes.append(replay(connection, real, "as it was", half=len(real) // 2))
        outcomes.append(replay(connection, real, "as it was, all days", half=0))
    report(chosen, outcomes, as_json=options.json)
    return 0


def read_history(folder: Path) -> History:
    """The hourly counts of a folder of charts, as `ondol ingest dataset` would send them."""
    charts = next(part for part in open_dataset(folder).parts if isinstance(part, Charts))
    videos = [row for row in charts.videos() if not isinstance(row, Refusal)]
    found = keywords_of_many((video.title, video.tags or ()) for video in videos)
    words = {
        video.video_id: tuple(keyword.keyword for keyword in keywords)
        for video, keywords in zip(videos, found, strict=True)
    }
    rows = sorted((row for row in charts.listings() if isinstance(row, ChartRow)), key=lambda row: row.collected_at)
    history: History = defaultdict(dict)
    for hour in hourly_signals(iter(rows), keywords=words):
        signals = hour.signals
        counts = dict(zip(signals["keywords"], signals["mentions"], strict=True))
        history[datetime.fromisoformat(signals["bucket"])][signals["region"]] = counts
    return dict(sorted(history.items()))


def shuffled(history: History, *, seed: int) -> History:
    """Each keyword keeps its counts and gets other hours, any of those in which its region was observed."""
    chance = random.Random(seed)  # noqa: S311
    hours: dict[str, list[datetime]] = defaultdict(list)
    series: dict[tuple[str, str], list[int]] = defaultdict(list)
    for hour, regions in history.items():
        for region, counts in regions.items():
            hours[region].append(hour)
            for keyword, count in counts.items():
                series[region, keyword].append(count)
    mixed: History = {hour: {region: {} for region in regions} for hour, regions in history.items()}
    for (region, keyword), mentions in sorted(series.items()):
        chance.shuffle(mentions)
        for moment, count in zip(chance.sample(hours[region], len(mentions)), mentions, strict=True):
            mixed[moment][region][keyword] = count
    return mixed


def first_half(history: History) -> History:
    return dict(list(history.items())[: len(history) // 2])


def empty(connection: psycopg.Connection[Any]) -> None:
    connection.execute("set client_min_messages = warning")
    connection.execute(f"truncate {TABLES} cascade".encode())


def snapshots(connection: psycopg.Connection[Any], history: History) -> Iterator[datetime]:
    """Put one hour in after the other, and say when it is to be tested."""
    for hour, regions in history.items():
        rows = [
            (region, keyword, mentions)
            for region, counts in sorted(regions.items())
            for keyword, mentions in sorted(counts.items())
        ]
        into = "copy private.keyword_signals (region_code, data_source, bucket, keyword, mentions) from stdin"
        with connection.cursor() as cursor, cursor.copy(into) as written:
            for region, keyword, mentions in rows:
                written.write_row((region, "youtube_api", hour, keyword, mentions))
        yield hour + WAIT


def choose(connection: psycopg.Connection[Any], history: History) -> list[Setting]:
    """How many runs ring with each pair of the grid."""
    empty(connection)
    scored = "select region_code, keyword, z_score"
    for least in LEAST_USUAL:
        scored += f", private.burst_p(mentions, usual_mentions, variance, {least})"
    scored += " from private.score_keywords(%s, null, null, null) where z_score >= 2"
    runs: list[tuple[int, list[tuple[Any, ...]]]] = []
    for at in snapshots(connection, history):
        connection.execute("select private.fold_keyword_states(%s)", (at,))
        tests = dict(connection.execute("select region_code, keywords from private.tested_bins(%s, null)", (at,)))
        by_region: dict[str, list[tuple[Any, ...]]] = {region: [] for region in tests}
        for row in connection.execute(scored.encode(), (at,)):
            by_region[row[0]].append(row)
        runs.extend((tests[region], rows) for region, rows in by_region.items())
    grid = []
    for place, least_usual in enumerate(LEAST_USUAL):
        for least_z in LEAST_Z:
            alarms = [ringing(rows, tests, place, least_z) for tests, rows in runs]
            grid.append(Setting(least_usual, least_z, sum(map(bool, alarms)) / len(runs), sum(alarms)))
    return grid


def ringing(rows: Iterable[tuple[Any, ...]], tests: int, place: int, least_z: float, most_q: float = 0.05) -> int:
    """How many of a run's rows are below `most_q` by Benjamini and Hochberg, and above `least_z`."""
    ranked = sorted((row[3 + place], -row[2]) for row in rows)
    last = max((rank for rank, (p, _) in enumerate(ranked, 1) if p * tests / rank <= most_q), default=0)
    return sum(-negative >= least_z for _, negative in ranked[:last])


def replay(connection: psycopg.Connection[Any], history: History, name: str, *, half: int) -> Outcome:
    """Detection over the whole history; counted from snapshot `half` on."""
    empty(connection)
    outcome = Outcome(name)
    known: dict[str, set[str]] = defaultdict(set)
    earlier: datetime | None = None
    rang = "select distinct region_code from private.detected(%s, null) where is_trend"
    for number, at in enumerate(snapshots(connection, history)):
        connection.execute("select private.fold_keyword_states(%s)", (at,))
        ringing_regions = connection.execute(rang, (at,)).fetchall() if number >= half else []
        begun = time.perf_counter()
        answer = connection.execute("select public.detect_trends(%s)", (at,)).fetchone()
        took = (time.perf_counter() - begun) * 1000
        assert answer
        regions = history[at - WAIT]
        for region, counts in regions.items():
            known[region].update(counts)
        if number >= half:
            counted = connection.execute("select count(*) from private.tested_bins(%s, null)", (at,)).fetchone()
            assert counted
            outcome.runs += counted[0]
            outcome.runs_with_alarm += len(ringing_regions)
            outcome.tests += answer[0]["tested"]
            outcome.alarms += answer[0]["found"]
            outcome.over_08 += answer[0]["notified"]
            outcome.milliseconds.append(took)
            if counted[0] and earlier is not None:
                days = (at - earlier) / timedelta(days=1)
                outcome.keyword_days += days * sum(len(known[region]) for region in regions)
            found = connection.execute(
                "select region_code, keyword, z_score from public.trending_keywords where detected_at = %s", (at,)
            ).fetchall()
            outcome.by_region.update(region for region, _, _ in found)
            outcome.strongest += [f"{z:.1f} {region} {keyword}" for region, keyword, z in found]
        earlier = at
    outcome.strongest = sorted(outcome.strongest, key=lambda text: -float(text.split()[0]))[:12]
    return outcome


def report(chosen: list[Setting], outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        figures = [
            {
                **asdict(each),
                "false_discovery": each.false_discovery,
                "alarms_per_keyword_day": each.alarms_per_keyword_day,
                "milliseconds": statistics.median(each.milliseconds),
            }
            for each in outcomes
        ]
        print(json.dumps({"first_half": [asdict(each) for each in chosen], "outcomes": figures}, ensure_ascii=False))
        return
    console = Console()
    if chosen:
        table = Table(title="First half, shuffled: share of runs that ring", title_justify="left")
        table.add_column("z at least")
        for least_usual in LEAST_USUAL:
            table.add_column(f"usual at least {least_usual}", justify="right")
        for least_z in LEAST_Z:
            cells = [f"{each.false_discovery:.1%} ({each.alarms})" for each in chosen if each.least_z == least_z]
            table.add_row(str(least_z), *cells)
        console.print(table)
    table = Table(title="Second half, with the settings of the database", title_justify="left")
    for name in ("history", "runs", "ring", "share", "tests", "alarms", "a keyword-day", "over 0.8", "ms"):
        table.add_column(name, justify="left" if name == "history" else "right")
    for each in outcomes:
        table.add_row(
            each.name,
            f"{each.runs:,}",
            f"{each.runs_with_alarm:,}",
            f"{each.false_discovery:.1%}",
            f"{each.tests:,}",
            f"{each.alarms:,}",
            f"{each.alarms_per_keyword_day:.1e}",
            f"{each.over_08:,}",
            f"{statistics.median(each.milliseconds):.0f}",
        )
    console.print(table)
    regions = ", ".join(f"{region} {count}" for region, count in sorted(outcomes[-1].by_region.items()))
    console.print(f"as it was: {regions}", highlight=False)
    console.print("; ".join(outcomes[-1].strongest), highlight=False)


if __name__ == "__main__":
    raise SystemExit(main())
