"""Invented searches for `trend_speed`: Zipf's law over Korean keywords, a daily rhythm, 20 bursts in the last hour.

The same arguments make the same rows; only their dates follow the clock. What the counts of an hour are is taken from
the searches themselves, so that both ways to look at them see the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

PEOPLE = 100_003
HOURS = 48  # a day, and the day before that the naive query compares it with
BURSTS = 20
BURST_SEARCHES = 80  # more of a keyword that had two an hour at most
FORECAST_HOURS = 336
FORECAST_LEAST = 3  # searches in an hour, from which on a keyword is forecast

Connection = psycopg.Connection[Any]

TABLES = "private.keyword_signals, private.signal_marks, private.observed_bins, private.keyword_states, "
TABLES += "private.state_positions, public.trending_keywords, public.trend_predictions, ops.outbox"

# Three syllables; two keywords of fewer than 11,172 squared are never the same.
KEYWORDS = """
    create unlogged table bench.keywords as
    select
        rank,
        chr(44032 + (rank * 7919) %% 11172)
        || chr(44032 + (rank %% 11172 * 104729 + rank / 11172) %% 11172)
        || chr(44032 + (rank * 31) %% 11172) as keyword,
        coalesce(rank = any(%(bursts)s), false) as is_burst
    from generate_series(0, %(keywords)s - 1) as rank
"""

# Rows as wide as those of public.search_sessions without what a client adds; the ids tell nothing, and are constants.
SEARCHES = """
    create unlogged table bench.searches (like public.search_sessions including defaults);
    alter table bench.searches
    alter column id set default '00000000-0000-4000-8000-000000000001',
    alter column session_id set default '00000000-0000-4000-8000-000000000002'
"""
SEARCH_ROWS = """
    insert into bench.searches (user_id, session_started_at, search_query)
    select
        md5(floor(random() * %(people)s)::text)::uuid,
        %(first)s::timestamptz + interval '1 hour' * (hour.place - 1 + number::float8 / (hour.searches + 1)),
        named.keyword
    from unnest(%(searches)s::integer[]) with ordinality as hour (searches, place)
    cross join lateral generate_series(1, hour.searches) as number
    -- The inverse of Zipf's distribution; "offset" and the number have it drawn anew for each row.
    cross join lateral (
        select floor(exp(random() * ln(%(keywords)s + 1.0::float8)) - 1 + 0 * number)::integer as rank
        offset 0
    ) as drawn
    inner join bench.keywords as named on drawn.rank = named.rank
"""
BURST_ROWS = """
    insert into bench.searches (user_id, session_started_at, search_query)
    select
        md5(number::text)::uuid,
        %(newest)s::timestamptz + interval '1 minute' * (number %% 30),
        named.keyword
    from bench.keywords as named
    cross join generate_series(1, %(each)s) as number
    where named.is_burst
"""
SIGNALS = """
    insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
    select
        'KR',
        'internal',
        date_trunc('hour', search.session_started_at, 'UTC'),
        search.search_query,
        count(distinct search.user_id)
    from bench.searches as search
    where search.session_started_at >= %s and search.session_started_at < %s
    group by 3, 4
"""
# Each keyword of 5,000 has its own level and a common rhythm; noise without a distribution's tail is enough here.
SERIES = """
    create unlogged table bench.series as
    select
        named.keyword,
        array_agg(
            floor(
                (%(least)s + 500.0 / (named.rank + 10))
                * (1 + 0.5 * sin(2 * pi() * hour / 24) + 0.2 * sin(2 * pi() * hour / 168))
                * (0.7 + 0.6 * random()) + 1
            )::float8
            order by hour
        ) as series
    from bench.keywords as named
    cross join generate_series(1, %(hours)s) as hour
    group by named.keyword
    order by named.keyword
"""
SERIES_SIGNALS = """
    insert into private.keyword_signals (region_code, data_source, bucket, keyword, mentions)
    select
        'KR',
        'internal',
        %(newest)s::timestamptz - interval '1 hour' * (%(hours)s - hour.place),
        planted.keyword,
        hour.mentions
    from bench.series as planted
    cross join unnest(planted.series) with ordinality as hour (mentions, place)
"""


@dataclass(frozen=True)
class Size:
    """How many keywords were searched for how often in two days."""

    name: str
    keywords: int
    searches: int


def burst_ranks(size: Size) -> list[int]:
    """20 keywords of the middle: known, and rare enough for a burst to stand out in the sum of a day."""
    return [size.keywords // 20 + number * (size.keywords // 100) for number in range(BURSTS)]


def searches_by_hour(searches: int) -> list[int]:
    """The hours, oldest first: half as many again at the height of the day, half of it at the other end."""
    weights = [1 + 0.5 * math.sin(2 * math.pi * (hour + 1) / 24) for hour in range(HOURS)]
    total = sum(weights)
    return [round(searches * weight / total) for weight in weights]


def empty(connection: Connection) -> None:
    connection.execute("set client_min_messages = warning")
    connection.execute(f"truncate {TABLES} cascade".encode())
    connection.execute("drop schema if exists bench cascade")
    connection.execute("create schema bench")


def plant(connection: Connection, size: Size, newest: datetime) -> None:
    """The searches with an index on their time, and the states of all keywords up to the hour before `newest`."""
    empty(connection)
    first = newest - timedelta(hours=HOURS - 1)
    connection.execute("select setseed(0.5)")
    connection.execute(KEYWORDS, {"keywords": size.keywords, "bursts": burst_ranks(size)})
    connection.execute("analyze bench.keywords")
    drawn = {"first": first, "searches": searches_by_hour(size.searches), "keywords": size.keywords, "people": PEOPLE}
    connection.execute(SEARCHES)
    connection.execute(SEARCH_ROWS, drawn)
    connection.execute(BURST_ROWS, {"newest": newest, "each": BURST_SEARCHES})
    connection.execute("create index on bench.searches (session_started_at)")
    connection.execute("analyze bench.searches")
    connection.execute("set work_mem = '512MB'")
    connection.execute(SIGNALS, (first, newest))
    connection.execute("reset work_mem")
    connection.execute("analyze private.keyword_signals")
    connection.execute("select private.fold_keyword_states(%s)", (newest,))
    connection.execute(SIGNALS, (newest, newest + timedelta(hours=1)))


def plant_series(connection: Connection, keywords: int, newest: datetime) -> None:
    """Two weeks of hourly counts that end with `newest`, every one high enough to be forecast."""
    empty(connection)
    connection.execute("select setseed(0.5)")
    connection.execute(KEYWORDS, {"keywords": keywords, "bursts": []})
    shape = {"hours": FORECAST_HOURS, "least": FORECAST_LEAST, "newest": newest}
    connection.execute(SERIES, shape)
    connection.execute(SERIES_SIGNALS, shape)
    connection.execute("select private.fold_keyword_states(%s)", (newest,))
    connection.execute("analyze private.keyword_signals")
