"""States of keywords: the same in whatever order, repetition and batches signals come, and from two folds."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.local_stack.settings import Stack

from .burst_model import State, replayed

REGION, SOURCE = "FI", "internal"  # no other test counts there
FIRST = datetime(2026, 5, 1, tzinfo=UTC)
WORDS = ("가", "나", "다")
FOLD = "select private.fold_keyword_states(%s, %s)"
Signal = tuple[str, int, int]  # keyword, hour, mentions


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url()) as connection:
        forget(connection)
        connection.commit()
        yield connection
        connection.rollback()
        forget(connection)
        connection.commit()


def forget(connection: psycopg.Connection[Any]) -> None:
    for table in ("keyword_signals", "signal_marks", "observed_bins", "keyword_states", "state_positions"):
        connection.execute(f"delete from private.{table} where region_code = '{REGION}'".encode())  # noqa: S608


def hour(number: int) -> datetime:
    return FIRST + timedelta(hours=number)


def send(connection: psycopg.Connection[Any], signals: list[Signal]) -> None:
    rows = [
        {"keyword": word, "region": REGION, "source": SOURCE, "bucket": hour(at).isoformat(), "mentions": mentions}
        for word, at, mentions in signals
    ]
    answer = connection.execute("select public.ingest_keyword_signals(%s)", (json.dumps(rows),)).fetchone()
    assert answer
    assert answer[0]["rejected"] == []


def fold(connection: psycopg.Connection[Any], at: int = 10_000) -> dict[str, int]:
    row = connection.execute(FOLD, (hour(at), REGION)).fetchone()
    assert row
    return dict(row[0])


def states(connection: psycopg.Connection[Any]) -> dict[str, State]:
    rows = connection.execute(
        "select keyword, (state).profile, (state).level, (state).variance, (state).bins from private.keyword_states"
        " where region_code = %s",
        (REGION,),
    )
    return {word: State(tuple(profile), *rest) for word, profile, *rest in rows}


def expected(signals: list[Signal]) -> dict[str, State]:
    """The last word on each hour counts; the newest hour is left out."""
    last = {(word, at): mentions for word, at, mentions in signals}
    observed = [hour(at) for at in sorted({at for _, at in last})][:-1]
    found = {}
    for word in WORDS:
        counts = {hour(at): mentions for (known, at), mentions in last.items() if known == word}
        state = replayed(counts, observed)
        if state is not None:
            found[word] = state
    return found


def assert_same(found: dict[str, State], wanted: dict[str, State], tolerance: float = 1e-9) -> None:
    assert found.keys() == wanted.keys()
    for word, state in wanted.items():
        assert found[word].bins == state.bins
        assert math.isclose(found[word].level, state.level, rel_tol=tolerance, abs_tol=tolerance)
        assert math.isclose(found[word].variance, state.variance, rel_tol=tolerance, abs_tol=tolerance)
        for one, other in zip(found[word].profile, state.profile, strict=True):
            assert (one is None) is (other is None)
            # What `real` keeps: seven digits.
            assert one is None or other is None or math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-7)


signals_of_a_week = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(0, 24 * 7), st.integers(0, 40)), min_size=2, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), signals=signals_of_a_week)
def test_any_order_repetition_and_batching_gives_the_replays_states(
    stack: Stack, data: Any, signals: list[Signal]
) -> None:
    """Late, corrected and repeated signals, folded in between at any time, end as if they had come in order."""
    repeated = signals + data.draw(st.lists(st.sampled_from(signals), max_size=20))
    ends = data.draw(st.lists(st.integers(1, len(repeated)), max_size=6).map(sorted))
    with psycopg.connect(stack.database_url()) as connection:
        try:
            for begin, end in zip([0, *ends], [*ends, len(repeated)], strict=True):
                if repeated[begin:end]:
                    send(connection, repeated[begin:end])
                fold(connection, at=data.draw(st.integers(0, 24 * 7)))
            assert fold(connection)["left"] == 0
            assert fold(connection) == {"folded": 0, "replayed": 0, "left": 0, "cut": 0}
            assert_same(states(connection), expected(repeated))
        finally:
            connection.rollback()


def test_continuous_hours_match_to_nine_digits(database: psycopg.Connection[Any]) -> None:
    """Three weeks without a gap, an hour at a time; each hour is sent and folded twice."""
    signals = [(word, at, 1 + (at * place * 7919) % 23) for at in range(24 * 7) for place, word in enumerate(WORDS, 1)]
    for at in range(24 * 7):
        now = [signal for signal in signals if signal[1] == at]
        for _ in range(2):
            send(database, now)
            fold(database, at)
    assert_same(states(database), expected(signals))


def test_deleted_signals_are_forgotten(database: psycopg.Connection[Any]) -> None:
    signals = [(word, at, 3) for at in range(30) for word in WORDS]
    send(database, signals)
    fold(database)
    database.execute("delete from private.keyword_signals where region_code = %s and keyword = '나'", (REGION,))
    database.execute("delete from private.keyword_signals where region_code = %s and bucket = %s", (REGION, hour(29)))
    fold(database)
    assert_same(states(database), expected([signal for signal in signals if signal[0] != "나" and signal[1] < 29]))
    database.execute("delete from private.keyword_signals where region_code = %s", (REGION,))
    fold(database)
    assert states(database) == {}


def test_two_folds_at_once_count_each_hour_once(stack: Stack, database: psycopg.Connection[Any]) -> None:
    signals = [(word, at, at % 5 + 1) for at in range(60) for word in WORDS]
    send(database, signals)
    database.commit()
    done: list[dict[str, int]] = []

    def fold_alone() -> None:
        with psycopg.connect(stack.database_url()) as connection:
            done.append(fold(connection))

    threads = [threading.Thread(target=fold_alone) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(answer["folded"] for answer in done) == [0, 0, 0, len(WORDS)]
    assert_same(states(database), expected(signals))


def test_a_fold_that_is_killed_leaves_nothing_half_done(stack: Stack, database: psycopg.Connection[Any]) -> None:
    signals = [(word, at, at % 5 + 1) for at in range(60) for word in WORDS]
    send(database, signals)
    database.commit()
    killed = psycopg.connect(stack.database_url())
    assert fold(killed)["folded"] == len(WORDS)
    database.execute("select pg_terminate_backend(%s)", (killed.info.backend_pid,))
    killed.close()
    assert states(database) == {}
    fold(database)
    assert_same(states(database), expected(signals))


def test_more_late_keywords_than_one_run_takes_wait_for_the_next(database: psycopg.Connection[Any]) -> None:
    words = [f"word {number}" for number in range(1_200)]
    for at in (0, 1, 2, 3):
        send(database, [(word, at, 1 + at) for word in words if at])
    send(database, [("가", 5, 1)])
    fold(database)
    send(database, [(word, 0, 9) for word in words])
    assert fold(database)["left"] == 200
    assert fold(database)["left"] == 0
    found = states(database)
    assert {state.bins for word, state in found.items() if word in words} == {4}
    assert len({state.level for word, state in found.items() if word in words}) == 1
