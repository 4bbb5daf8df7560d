"""Floods, gaps and strange clocks: detection stays bounded, and takes nothing for news that is none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from scripts.local_stack.settings import Stack

REGION, SOURCE = "NO", "internal"  # no other test counts there
FIRST = datetime(2026, 5, 4, tzinfo=UTC)
JUNK = 1_000_000
HOURS = 30
SECONDS = 30
TABLES = ("keyword_signals", "signal_marks", "observed_bins", "keyword_states", "state_positions")


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """One transaction that is taken back, so that no job sees it."""
    with psycopg.connect(stack.database_url()) as connection:
        yield connection
        connection.rollback()


def hour(number: float) -> datetime:
    return FIRST + timedelta(hours=number)


def plant(connection: psycopg.Connection[Any], at: int, counts: dict[str, int]) -> None:
    rows = [
        {"keyword": word, "region": REGION, "source": SOURCE, "bucket": hour(at).isoformat(), "mentions": mentions}
        for word, mentions in counts.items()
    ]
    answer = connection.execute("select public.ingest_keyword_signals(%s)", (json.dumps(rows),)).fetchone()
    assert answer
    assert answer[0]["rejected"] == []


def everyday(at: int) -> dict[str, int]:
    return {f"known {place}": 2 + (at + place) % 3 for place in range(200)}


def detect(connection: psycopg.Connection[Any], at: float) -> dict[str, Any]:
    answer = connection.execute("select public.detect_trends(%s, %s)", (hour(at), REGION)).fetchone()
    assert answer
    return dict(answer[0])


def trends(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute("select keyword from public.trending_keywords where region_code = %s", (REGION,))
    return {word for (word,) in rows}


def bins(connection: psycopg.Connection[Any]) -> dict[str, int]:
    rows = connection.execute(
        "select keyword, (state).bins from private.keyword_states where region_code = %s", (REGION,)
    )
    return dict(rows.fetchall())


def flood(connection: psycopg.Connection[Any], at: int) -> None:
    """As many words as a spammer can think of, 2 to 9 times each."""
    connection.execute(
        "insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)"
        " select %s, %s, %s, 'junk ' || number, 2 + number %% 8 from generate_series(1, %s) as word (number)",
        (REGION, SOURCE, hour(at), JUNK),
    )


def test_a_million_junk_keywords_in_an_hour_are_bounded_work_and_never_look_new(
    database: psycopg.Connection[Any],
) -> None:
    for at in range(HOURS):
        plant(database, at, everyday(at))
    assert detect(database, HOURS - 0.5)["found"] == 0
    plant(database, HOURS, everyday(HOURS))
    flood(database, HOURS)

    begun = time.monotonic()
    during = detect(database, HOURS + 0.5)
    assert time.monotonic() - begun < SECONDS
    assert during["tested"] == JUNK + 200
    assert during["found"] <= 200

    # "junk 8" and so on were seen twice: of those no state is kept.
    again = {f"junk {number}": 40 for number in range(8, 808, 8)}
    plant(database, HOURS + 1, {**everyday(HOURS + 1), **again, "never seen": 40})
    begun = time.monotonic()
    after = detect(database, HOURS + 1.5)
    assert time.monotonic() - begun < SECONDS
    assert after["cut"] == JUNK - 50_000
    known = bins(database)
    assert len(known) == 50_200
    assert {known[word] for word in everyday(0)} == {HOURS + 1}  # who was known is carried on
    assert not again.keys() & known.keys()
    assert not again.keys() & trends(database)
    assert "never seen" in trends(database)

    # In an hour to come they are computed from what was signalled, and no longer cut.
    plant(database, HOURS + 2, everyday(HOURS + 2))
    detect(database, HOURS + 2.5)
    detect(database, HOURS + 2.6)
    known = bins(database)
    assert {known[word] for word in again} == {HOURS + 2}
    assert known["never seen"] == HOURS + 2
    wrong = database.execute(
        "select count(*) from private.replay_keywords(%s, %s, %s, %s) as replay"
        " inner join private.keyword_states as stored using (keyword)"
        " where stored.region_code = %s and (stored.state).level <> (replay.state).level",
        (REGION, SOURCE, [*again, "never seen", "known 7"], hour(HOURS + 2), REGION),
    ).fetchone()
    assert wrong == (0,)


def test_late_junk_is_bounded_too(database: psycopg.Connection[Any]) -> None:
    for at in range(HOURS):
        plant(database, at, everyday(at))
    detect(database, HOURS - 0.5)
    flood(database, 3)
    begun = time.monotonic()
    assert detect(database, HOURS - 0.4)["cut"] >= JUNK - 50_200
    assert time.monotonic() - begun < SECONDS
    plant(database, HOURS, {**everyday(HOURS), "junk 8": 40, "never seen": 40})
    detect(database, HOURS + 0.5)
    assert trends(database) == {"never seen"}
