"""The bench of detection measures what it says: at a tiny size all ways name the planted bursts, and figures add up."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest

from scripts.bench import planted_searches, trend_speed
from scripts.bench.planted_searches import BURSTS, Size, searches_by_hour
from scripts.local_stack.settings import Stack

TINY = Size("tiny", 500, 5_000)


def test_a_tiny_size_is_measured_and_told(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """In a transaction that is undone: other tests keep what they stored."""
    with psycopg.connect(stack.database_url()) as connection, connection.transaction(force_rollback=True):
        detection = trend_speed.measure(connection, TINY, rounds=1)
        forecasts = trend_speed.measure_forecast(connection, keywords=20, rounds=1)
    trend_speed.report([detection, replace(detection, size="again")], forecasts, as_json=True)
    told = json.loads(capsys.readouterr().out)
    tiny = told["detection"][0]
    assert tiny["searches"] == pytest.approx(5_000 + BURSTS * planted_searches.BURST_SEARCHES, abs=30)
    assert 400 < tiny["keywords"] <= 500
    assert tiny["naive_named"] >= BURSTS
    assert BURSTS <= tiny["ours_named"] <= BURSTS + 2
    assert min(tiny[name] for name in ("naive_ms", "people_ms", "fold_ms", "detect_ms", "detect_blocks")) > 0
    assert tiny["run_ms"] == tiny["fold_ms"] + tiny["detect_ms"]
    assert told["growth"]["run"] == 1
    assert told["forecast"]["predictions"] == 20
    trend_speed.report([detection], forecasts, as_json=False)
    assert "naive query" in capsys.readouterr().out


def test_a_burst_that_is_missed_ends_the_bench(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the planted searches neither way has anything to name."""
    monkeypatch.setattr(planted_searches, "BURST_SEARCHES", 0)
    with (
        psycopg.connect(stack.database_url()) as connection,
        connection.transaction(force_rollback=True),
        pytest.raises(SystemExit, match="does not name"),
    ):
        trend_speed.measure(connection, TINY, rounds=1)


def test_the_hours_hold_all_searches_in_a_rhythm() -> None:
    hours = searches_by_hour(1_000_000)
    assert len(hours) == planted_searches.HOURS
    assert sum(hours) == pytest.approx(1_000_000, abs=len(hours))
    assert max(hours) == pytest.approx(3 * min(hours), rel=0.01)
