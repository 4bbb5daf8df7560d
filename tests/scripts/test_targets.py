"""The design's target numbers, on invented data in a Postgres of its own: how long people wait, what is read how.

Limits in milliseconds are the design's, far above what is measured (docs/benchmarks.md), so that a busy machine passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from scripts import schemas
from scripts.bench.serving_pairs import Contender, Pair, pairs
from scripts.bench.serving_speed import bench, build
from scripts.local_stack.settings import Stack

NUMBERS = (4_000, 2_000, 2_000, 40_000)  # videos, keywords, people, interactions
BIG = ("cached_videos", "keyword_video_mappings", "video_interactions", "video_cards", "keyword_postings")
TARGETS = {"search_videos": 50.0, "find_videos": 200.0, "personalized_feed": 300.0}


class Database(NamedTuple):
    stack: Stack
    connection: psycopg.Connection[Any]
    pairs: dict[str, Pair]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with schemas.empty_databases("targets") as (stack,):
        schemas.build_from_migrations(stack)
        with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as connection:
            for _ in build(connection, NUMBERS, is_learned=True):
                pass
            yield Database(stack, connection, {pair.question: pair for pair in pairs(connection)})


def ours(database: Database, question: str) -> Contender:
    pair = next(pair for name, pair in database.pairs.items() if all(part in name for part in question.split(", ")))
    pair.prepare(database.connection)
    return pair.ours


def p95(database: Database, contender: Contender) -> float:
    """Of the quietest of five rounds: the machine has other things to do too."""
    rounds = []
    for _ in range(5):
        _, times = bench(database.stack, contender, seconds=1)
        assert len(times) > 20
        rounds.append(sorted(times)[int(len(times) * 0.95)])
    return min(rounds)


@pytest.mark.parametrize(
    ("question", "milliseconds"),
    [("keyword, page kept", 50), ("title, two words", 200), ("title, common words", 200), ("feed, computed", 300)],
    ids=["S-227: a basic question", "S-228: parts of titles", "S-228: common words", "S-230: a feed"],
)
def test_95_of_100_answers_come_within_the_target(database: Database, question: str, milliseconds: float) -> None:
    """S-227, S-228, S-230: eight clients at once, as a signed-in person."""
    assert p95(database, ours(database, question)) < milliseconds


def test_s_235_big_tables_are_read_by_their_indexes(database: Database) -> None:
    """S-235: by index in more than 95 of 100 reads, while people search and look at their feeds."""
    connection = database.connection
    connection.execute("select pg_stat_reset()")
    for question in ("keyword, ranked anew", "title, two syllables", "feed, computed"):
        bench(database.stack, ours(database, question), seconds=1)
    connection.execute("select pg_stat_force_next_flush()")
    rows = connection.execute(
        "select relname, idx_scan, seq_scan from pg_stat_user_tables"
        " where relname = any(%s) and idx_scan + seq_scan > 0",
        [list(BIG)],
    ).fetchall()
    assert {"video_cards", "keyword_postings", "cached_videos"} <= {name for name, *_ in rows}
    for name, by_index, whole in rows:
        assert by_index / (by_index + whole) > 0.95, name


def test_s_236_calls_stay_below_their_targets(database: Database) -> None:
    """S-236: by the database's own statistics, more than 90 of 100 calls are of statements that take less."""
    connection = database.connection
    connection.execute("select extensions.pg_stat_statements_reset()")
    for question in ("keyword, page kept", "title, two words", "feed, computed"):
        bench(database.stack, ours(database, question), seconds=1)
    below = calls = 0
    for name, milliseconds in TARGETS.items():
        for count, mean in connection.execute(
            "select calls, mean_exec_time from extensions.pg_stat_statements where query like %s", [f"%{name}(%"]
        ):
            calls += count
            below += count if mean < milliseconds else 0
    assert calls > 100
    assert below / calls > 0.90


def test_s_237_counts_of_clicks_are_read_a_hundred_times_a_second(database: Database) -> None:
    """S-237: what denormalising them was for."""
    row = database.connection.execute(
        "select format('select click_count from public.keyword_video_mappings where keyword = %L and video_id = %L',"
        " keyword, video_id) from public.keyword_video_mappings limit 1"
    ).fetchone()
    assert row is not None
    a_second, _ = bench(database.stack, Contender("click_count", row), seconds=1)
    assert a_second >= 100
