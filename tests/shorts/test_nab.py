"""The detector of bursts, as the database has it, on the labelled series of NAB (realTweets, bins of five minutes)."""

from __future__ import annotations

import csv
import gzip
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from app.shorts.backtest_nab import Labelled, nab_score
from scripts.local_stack.settings import Stack

FLOOR = 74.5
SECONDS = 60


def test_the_score_of_the_best_and_of_silence() -> None:
    windows = [(1_000, 1_100), (3_000, 3_100)]
    assert nab_score([Labelled(5_000, windows, [1_000, 3_000])]) == pytest.approx(100)
    assert nab_score([Labelled(5_000, windows, [])]) == 0
    assert nab_score([Labelled(5_000, windows, [10])]) == 0  # too early to count
    late, early = (nab_score([Labelled(5_000, windows, [alarm])]) for alarm in (1_090, 1_010))
    assert 0 < late < early < 50
    assert nab_score([Labelled(5_000, windows, [2_900])]) == pytest.approx(-100 * 0.11 / 4)
    assert nab_score([Labelled(5_000, windows, [800])]) == pytest.approx(-100 * 0.11 / 4)


def test_the_detector_scores_on_labelled_tweets(shared_data: Path, stack: Stack) -> None:
    """One setting for all five series: that of the table."""
    folder = shared_data / "nab-realtweets"
    windows: dict[str, list[tuple[str, str]]] = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    judged: list[Labelled] = []
    began = time.monotonic()
    with psycopg.connect(stack.database_url()) as connection:
        for name, labels in windows.items():
            moments, counts = read(folder / f"{name}.csv.gz")
            answer = connection.execute(
                "select public.backtest_bursts(%s::float8[], 300, %s)", (counts, moments[0])
            ).fetchone()
            assert answer
            places = [
                [place for place, at in enumerate(moments) if moment(first) <= at <= moment(last)]
                for first, last in labels
            ]
            alarms: list[int] = answer[0]["alarms"]
            judged.append(Labelled(len(counts), [(inside[0], inside[-1]) for inside in places], alarms))
    assert time.monotonic() - began < SECONDS
    assert len(judged) == 5
    score = nab_score(judged)
    assert score >= FLOOR, f"{score:.1f}"


def read(file: Path) -> tuple[list[datetime], list[float]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [moment(row["timestamp"]) for row in rows], [float(row["value"]) for row in rows]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
