"""What the monitoring reads of the server's own statistics, which a transaction that is rolled back never reaches."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from scripts.local_stack.settings import Stack


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def large_table(database: psycopg.Connection) -> Iterator[str]:
    """10,000 rows, an index that nobody uses, and row level security like any table of ours."""
    database.execute("drop table if exists public.planted_scans")
    database.execute("create table public.planted_scans as select n as number from generate_series(1, 10000) as n")
    database.execute("alter table public.planted_scans enable row level security")
    database.execute("create index planted_unused on public.planted_scans (number)")
    try:
        yield "public.planted_scans"
    finally:
        database.execute("drop table public.planted_scans")


def test_s_140_counts_four_figures_on_a_fresh_database(stack: Stack, database: psycopg.Connection) -> None:
    """D78: the seed's view divided by zero before anything had been counted."""
    with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as admin:
        admin.execute("select pg_stat_reset()")
    figures = database.execute("select metric, unit from ops.database_health_metrics").fetchall()
    assert {metric for metric, _ in figures} == {
        "connection_count",
        "cache_hit_ratio",
        "transaction_rollback_ratio",
        "slow_queries",
    }


def test_s_141_recommends_an_index_for_a_scanned_table(database: psycopg.Connection, large_table: str) -> None:
    """S-250, D59: after more than 100 scans of a large table; the seed named a column that the statistics lack."""
    said = database.execute("select pg_get_function_arguments('ops.recommend_indexes'::regproc)").fetchone()
    assert said is not None
    assert said[0].startswith("min_scans bigint DEFAULT 100, min_rows bigint DEFAULT 1000,")
    scans = "select count(*) from public.planted_scans where number + 0 = -1"
    for _ in range(101):
        database.execute(scans)
    database.execute("select pg_stat_force_next_flush()")
    found = database.execute(
        "select kind, relation, seq_scans, advice from ops.index_recommendations where relation = %s", [large_table]
    ).fetchall()
    assert [(kind, relation) for kind, relation, _, _ in found] == [("missing_index", large_table)]
    assert found[0][2] >= 101
    assert "Read from end to end 10" in found[0][3]


def test_tells_of_an_index_that_nobody_uses(database: psycopg.Connection, large_table: str) -> None:
    found = database.execute(
        "select index_name, advice from ops.recommend_indexes(min_index_bytes => 8192) "
        "where kind = 'unused_index' and relation = %s",
        [large_table],
    ).fetchall()
    assert [name for name, _ in found] == ["public.planted_unused"]
    database.execute("set enable_seqscan = off")
    database.execute("select from public.planted_scans where number = 1")
    database.execute("select pg_stat_force_next_flush()")
    assert not database.execute(
        "select from ops.recommend_indexes(min_index_bytes => 8192) where index_name = 'public.planted_unused'"
    ).fetchall()


def test_s_225_counts_statements_slower_than_100_ms(database: psycopg.Connection) -> None:
    for _ in range(5):
        database.execute("select pg_sleep(0.2)")
    row = database.execute(
        "select value, is_healthy from ops.database_health_metrics where metric = 'slow_queries'"
    ).fetchone()
    assert row is not None
    assert row[0] >= 1
    assert row[1] is False


def test_health_check_answers_the_service_over_the_data_api(stack: Stack) -> None:
    def asked(key: str) -> httpx.Response:
        return httpx.post(f"{stack.api_url}/rest/v1/rpc/health_check", headers={"apikey": key}, json={}, timeout=20)

    answer = asked(stack.keys.secret)
    assert answer.status_code == 200
    checks = {row["check_name"]: row for row in answer.json()}
    assert {"row_level_security", "partitions", "scheduled_jobs", "outbox", "watchdog"} <= checks.keys()
    # Other tests have tables of their own on this stack: what each check must find is asked in pgTAP.
    assert {type(row["is_healthy"]) for row in checks.values()} == {bool}
    assert all(row["hint"] for row in checks.values() if not row["is_healthy"])
    refused = asked(stack.keys.publishable)
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
