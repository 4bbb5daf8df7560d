"""The formulas of the scores, asked in the database with figures that nobody chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.local_stack.settings import Stack

COUNTS = st.integers(min_value=0, max_value=10**12)
# No rate of counts is smaller than 1e-12 and not 0; far below, Postgres refuses what a number cannot hold.
RATES = st.just(0.0) | st.floats(1e-12, 1)
SHARED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        yield connection


def value(database: psycopg.Connection[Any], expression: str, *figures: float | None) -> Any:
    row = database.execute(f"select private.{expression}".encode(), figures).fetchone()
    assert row is not None
    return row[0]


@SHARED
@given(trials=COUNTS, successes=COUNTS)
def test_s_124_the_bound_is_a_fraction_below_the_share(
    database: psycopg.Connection[Any], trials: int, successes: int
) -> None:
    """S-124: whatever the counts, even more successes than trials."""
    bound = value(database, "wilson_lower_bound(%s, %s)", successes, trials)
    assert 0 <= bound <= 1
    if trials > 0:
        assert bound <= min(successes / trials, 1) + 1e-9


@SHARED
@given(trials=COUNTS, successes=COUNTS, more=st.integers(min_value=1, max_value=10**6))
def test_s_124_more_likes_never_lower_any_figure(
    database: psycopg.Connection[Any], trials: int, successes: int, more: int
) -> None:
    """S-124: of the same views; to the precision of a double."""
    for expression in ("wilson_lower_bound(%s, %s)", "engagement_score(%s, 0, %s, 0.03)", "like_score(%s, %s)"):
        fewer, greater = (value(database, expression, likes, trials) for likes in (successes, successes + more))
        assert (fewer is None) == (greater is None)
        assert fewer is None or fewer <= greater + 1e-12


@SHARED
@given(rate=RATES, prior=RATES, trials=st.integers(min_value=1, max_value=10**9), times=st.integers(2, 1000))
def test_s_124_evidence_moves_from_the_prior_to_the_data(
    database: psycopg.Connection[Any], rate: float, prior: float, trials: int, times: int
) -> None:
    """S-124: the shrunk rate lies between the two, and nearer to the data the more there are."""
    figures = ((rate * count, count, prior) for count in (trials, trials * times))
    few, many = (value(database, "shrunk_rate(%s, %s, %s, 100)", *three) for three in figures)
    assert min(rate, prior) - 1e-9 <= few <= max(rate, prior) + 1e-9
    assert abs(many - rate) <= abs(few - rate) + 1e-9


@SHARED
@given(
    subscribers=st.none() | st.integers(0, 10**11),
    videos=st.integers(0, 10**6),
    kept=st.integers(0, 10**6),
    evenness=st.none() | RATES,
    years=st.none() | st.integers(0, 30),
)
def test_s_051_trust_is_a_fraction_and_one_more_video_that_plays_never_lowers_it(
    database: psycopg.Connection[Any],
    subscribers: int | None,
    videos: int,
    kept: int,
    evenness: float | None,
    years: int | None,
) -> None:
    """S-051: whatever is known of a channel, and whatever is not."""
    kept = min(kept, videos)
    expression = "channel_trust(make_interval(years => %s), %s, %s, %s, null, null)"
    before = value(database, expression, years, subscribers, kept, videos)
    after = value(database, expression, years, subscribers, kept + 1, videos + 1)
    assert 0 <= before <= after <= 1
    with_evenness = expression.replace("null, null)", "%s, %s)")
    assert 0 <= value(database, with_evenness, years, subscribers, kept, videos, evenness, videos) <= 1
