"""Clocks that are wrong, gaps, absurd counts, repeated and late signals: no alarm without cause, none lost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from scripts.local_stack.settings import Stack

REGION, SOURCE = "DK", "internal"  # no other test counts there
FIRST = datetime(2026, 5, 4, tzinfo=UTC)
WEEK = 7 * 24
MOST = 2**31 - 1


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A week of steady words, in one transaction that is taken back, so that no job sees it."""
    with psycopg.connect(stack.database_url()) as connection:
        for at in range(WEEK):
            plant(connection, at, steady(at))
        detect(connection, WEEK - 0.5)
        assert trends(connection) == []
        yield connection
        connection.rollback()


def hour(number: float) -> datetime:
    return FIRST + timedelta(hours=number)


def steady(at: int) -> dict[str, int]:
    """20 to 24 mentions, some words only by day."""
    return {f"word {place}": 20 + (at * 7 + place) % 5 for place in range(20) if place < 10 or at % 24 < 15}


def plant(connection: psycopg.Connection[Any], at: int, counts: dict[str, int]) -> dict[str, Any]:
    rows = [
        {"keyword": word, "region": REGION, "source": SOURCE, "bucket": hour(at).isoformat(), "mentions": mentions}
        for word, mentions in counts.items()
    ]
    answer = connection.execute("select public.ingest_keyword_signals(%s)", (json.dumps(rows),)).fetchone()
    assert answer
    return dict(answer[0])


def force(connection: psycopg.Connection[Any], at: int, counts: dict[str, int]) -> None:
    """As a source whose clock is wrong left them, past what ingest refuses."""
    for word, mentions in counts.items():
        connection.execute(
            "insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)"
            " values (%s, %s, %s, %s, %s)",
            (REGION, SOURCE, hour(at), word, mentions),
        )


def detect(connection: psycopg.Connection[Any], at: float) -> dict[str, Any]:
    answer = connection.execute("select public.detect_trends(%s, %s)", (hour(at), REGION)).fetchone()
    assert answer
    return dict(answer[0])


def trends(connection: psycopg.Connection[Any]) -> list[tuple[str, datetime]]:
    """Each row is a trend that somebody was told."""
    return connection.execute(
        "select keyword, detected_at from public.trending_keywords where region_code = %s"
        " order by detected_at, keyword",
        (REGION,),
    ).fetchall()


def state(connection: psycopg.Connection[Any], word: str) -> tuple[datetime, int, float, float, list[float | None]]:
    row: tuple[datetime, int, float, float, list[float | None]] | None = connection.execute(
        "select last_bucket, (state).bins, (state).level, (state).variance, (state).profile"
        " from private.keyword_states where region_code = %s and keyword = %s",
        (REGION, word),
    ).fetchone()
    assert row
    return row


def test_an_hour_from_a_clock_that_is_ahead_waits_for_its_time(database: psycopg.Connection[Any]) -> None:
    force(database, WEEK + 3, {"word 0": 500, "word 1": 22})
    force(database, WEEK + 24 * 365, {"word 0": 500})
    plant(database, WEEK, steady(WEEK))
    assert detect(database, WEEK + 0.5)["found"] == 0
    assert state(database, "word 0")[:2] == (hour(WEEK - 1), WEEK)
    for at in (WEEK + 1, WEEK + 2):
        plant(database, at, steady(at))
        assert detect(database, at + 0.5)["found"] == 0
    plant(database, WEEK + 3, {word: count for word, count in steady(WEEK + 3).items() if word != "word 0"})
    assert detect(database, WEEK + 3.5)["found"] == 1
    assert trends(database) == [("word 0", hour(WEEK + 3.5))]
    assert state(database, "word 0")[:2] == (hour(WEEK + 2), WEEK + 3)


def test_a_run_whose_clock_is_behind_changes_no_state(database: psycopg.Connection[Any]) -> None:
    plant(database, WEEK, {**steady(WEEK), "word 0": 500})
    assert detect(database, WEEK + 0.5)["found"] == 1
    before = state(database, "word 0")
    assert detect(database, WEEK - 3.5)["found"] == 0
    assert detect(database, WEEK + 0.6)["notified"] == 0
    assert state(database, "word 0") == before
    assert len(trends(database)) == 1


def test_a_day_that_nobody_looked_at_is_no_silence(database: psycopg.Connection[Any]) -> None:
    back = WEEK + 24
    plant(database, back, steady(back))
    assert detect(database, back + 0.5)["found"] == 0
    assert state(database, "word 0")[:2] == (hour(WEEK - 1), WEEK)
    plant(database, back + 1, {**steady(back + 1), "word 3": 120})
    assert detect(database, back + 1.5)["found"] == 1
    assert trends(database) == [("word 3", hour(back + 1.5))]
    assert state(database, "word 0")[:2] == (hour(back), WEEK + 1)


def test_an_hour_that_was_long_ago_is_not_tested(database: psycopg.Connection[Any]) -> None:
    plant(database, WEEK, {**steady(WEEK), "word 0": 500})
    assert detect(database, WEEK + 24)["tested"] == 0
    assert trends(database) == []


@pytest.mark.parametrize("count", [10**9, MOST])
def test_an_absurd_count_is_one_alarm_and_spoils_nothing(database: psycopg.Connection[Any], count: int) -> None:
    plant(database, WEEK, {word: usual for word, usual in steady(WEEK).items() if word != "word 0"})
    force(database, WEEK, {"word 0": count, "never seen": count})
    assert detect(database, WEEK + 0.5)["found"] == 2
    rows = database.execute(
        "select z_score, p_value, q_value, trend_score from public.trending_keywords where region_code = %s", (REGION,)
    ).fetchall()
    for z, p, q, score in rows:
        assert math.isfinite(z)
        assert z > 1e6
        assert 0 <= p <= q < 1e-6
        assert 0.99 < score <= 1
    for at in range(WEEK + 1, WEEK + 30):
        burst = {"word 1": 150} if at == WEEK + 20 else {}
        plant(database, at, {**steady(at), **burst})
        detect(database, at + 0.5)
    assert [word for word, _ in trends(database)] == ["never seen", "word 0", "word 1"]
    _, bins, level, variance, profile = state(database, "word 0")
    assert bins == WEEK + 29
    assert all(math.isfinite(value) for value in (level, variance, *filter(None, profile)))
    # It came into the rhythm of the day as three deviations, so the day is known as before.
    assert max(value or 0 for value in profile) < 40


def test_repeated_and_late_signals_tell_nobody_twice(database: psycopg.Connection[Any]) -> None:
    burst = {**steady(WEEK), "word 0": 90}
    for minutes in (5, 10, 15):
        assert plant(database, WEEK, burst)["rejected"] == []
        detect(database, WEEK + minutes / 60)
    assert trends(database) == [("word 0", hour(WEEK + 5 / 60))]
    plant(database, WEEK + 1, steady(WEEK + 1))
    detect(database, WEEK + 1.5)
    once = state(database, "word 0")
    # The same again, an hour late; and a count that comes late is put where it belongs.
    plant(database, WEEK, burst)
    detect(database, WEEK + 1.6)
    assert state(database, "word 0") == once
    plant(database, WEEK, {"word 2": 60})
    detect(database, WEEK + 1.7)
    assert state(database, "word 2")[:2] == (hour(WEEK), WEEK + 1)
    assert trends(database) == [("word 0", hour(WEEK + 5 / 60))]
