"""supabase/seed.sql on the running stack: what it holds, that it may be loaded again, and that its people sign in."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app import Client, Secret, Settings
from app.shorts import ShortsApi
from scripts.local_stack import postgres
from scripts.local_stack.settings import REPOSITORY, Stack

SEED = (REPOSITORY / "supabase" / "seed.sql").read_bytes()
TIERS = ("free", "trial", "premium", "pro", "enterprise")
PARTITIONED = ("search_sessions", "video_interactions", "watch_events")
SECONDS = 15
PEOPLE = "with people as (select id from auth.users where email like 'sample-%@example.com') "
HELD = {
    "people": "select count(*) from public.users as own join people on people.id = own.id",
    "channels": "select count(*) from public.cached_channels where channel_title like '%(표본)'",
    "videos": "select count(*) from public.cached_videos where video_id like 'sample\\_____'",
    "scores": "select count(*) from public.video_quality_scores where video_id like 'sample\\_____'",
    "keywords": "select count(distinct keyword) from public.keyword_video_mappings where video_id like 'sample\\_____'",
    "mappings": "select count(*) from public.keyword_video_mappings where video_id like 'sample\\_____'",
    "trends": "select count(*) from public.trending_keywords where model_version = 'sample'",
    "predictions": "select count(*) from public.trend_predictions where model_version = 'sample'",
    "searches": "select count(*) from public.search_sessions as own join people on people.id = own.user_id",
    "interactions": "select count(*) from public.video_interactions as own join people on people.id = own.user_id",
    "feedback": "select count(*) from public.user_feedback as own join people on people.id = own.user_id",
}
COUNTS = {
    "people": 5,
    "channels": 50,
    "videos": 1000,
    "scores": 1000,
    "keywords": 200,
    "mappings": 3000,
    "trends": 20,
    "predictions": 280,
    "searches": 2000,
    "interactions": 20000,
    "feedback": 200,
}
CLEAN_UP = """
delete from auth.users where email like 'sample-%@example.com';
delete from private.pending_counts where video_id like 'sample\\_____';
delete from public.keyword_effectiveness where keyword in (
    select keyword from public.keyword_video_mappings where video_id like 'sample\\_____'
);
delete from public.keyword_performance_cache where keyword in (
    select keyword from public.keyword_video_mappings where video_id like 'sample\\_____'
);
delete from public.cached_videos where video_id like 'sample\\_____';
delete from public.cached_channels where channel_title like '%(표본)';
delete from public.trending_keywords where model_version = 'sample';
delete from public.trend_predictions where model_version = 'sample';
"""
Connection = psycopg.Connection[tuple[Any, ...]]


def counts(connection: Connection) -> dict[str, int]:
    found = {}
    for name, query in HELD.items():
        row = connection.execute((PEOPLE + query).encode()).fetchone()
        assert row is not None
        found[name] = row[0]
    return found


def rows_of(connection: Connection, tables: Sequence[str]) -> list[object]:
    count = sql.SQL("select count(*) from {}")
    return [connection.execute(count.format(sql.Identifier(*table.split(".")))).fetchone() for table in tables]


@pytest.fixture
def database(stack: Stack) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with psycopg.connect(stack.database_url()) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def planted(stack: Stack) -> Iterator[None]:
    """The sample data for everybody to see, until the end of the test, loaded as the file itself says."""
    psql = ["psql", stack.database_url(), "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction"]
    subprocess.run(postgres.in_root(stack, psql), input=SEED, check=True, capture_output=True)
    yield
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute(CLEAN_UP)
        assert set(counts(connection).values()) == {0}


def test_s_265_the_seed_holds_what_it_says_and_may_be_loaded_again(database: Connection) -> None:
    """S-265: 5 people, 1,000 videos, 200 keywords, 20,000 interactions; a second load adds nothing; quick."""
    began = time.monotonic()
    database.execute(SEED)
    assert time.monotonic() - began < SECONDS
    assert counts(database) == COUNTS
    total = database.execute("select count(*) from public.video_interactions").fetchone()
    database.execute(SEED)
    assert counts(database) == COUNTS
    assert database.execute("select count(*) from public.video_interactions").fetchone() == total


def test_s_265_the_seed_follows_from_its_numbers_alone(database: Connection) -> None:
    """S-265: two loads into the same emptiness are the same, but for times, our own ids and salted passwords."""
    digest = """
        select
            (
                select md5(string_agg(concat_ws('|', video_id, title, duration, view_count), ',' order by video_id))
                from public.cached_videos where video_id like 'sample\\_____'
            ),
            (
                select md5(string_agg(concat_ws('|', own.id, video_id, session_id), ',' order by own.id))
                from public.video_interactions as own
                join auth.users as person on person.id = own.user_id and person.email like 'sample-%@example.com'
            )
    """
    digests = set()
    for _ in range(2):
        database.execute("savepoint empty")
        database.execute(SEED)
        digests.add(database.execute(digest).fetchone())
        database.execute("rollback to savepoint empty")
    assert len(digests) == 1
    assert None not in (digests.pop() or (None,))
    assert b"random(" not in SEED


def test_s_266_one_person_of_each_tier(database: Connection) -> None:
    """S-266: each policy level has its person; all but the free one by a tier that ends."""
    database.execute(SEED)
    found = database.execute(
        """
        select stored.user_tier::text, held.tier::text, held.expires_at > now()
        from public.users as stored
        join auth.users as person on person.id = stored.id and person.email like 'sample-%@example.com'
        left join public.user_tiers as held on held.user_id = stored.id
        order by stored.user_tier
        """
    ).fetchall()
    assert found == [("free", None, None), *((tier, tier, True) for tier in TIERS[1:])]
    used = database.execute(
        "select count(*) from private.daily_quotas as quota join auth.users as person on person.id = quota.user_id "
        "where person.email like 'sample-%@example.com'"
    ).fetchone()
    assert used == (0,), "the trial's day is untouched"


def test_s_265_nothing_rings_a_bell_or_strays(database: Connection) -> None:
    """S-265: no webhook tells of invented trends, and every row lies in the month that is its own."""
    watched = ("ops.webhook_deliveries", *(f"private.{name}_default" for name in PARTITIONED))
    before = rows_of(database, watched)
    database.execute(SEED)
    assert rows_of(database, watched) == before


def test_s_260_a_deep_page_of_the_history_reads_no_more_than_itself(database: Connection) -> None:
    """S-260: the query of `watch_history` goes through an index by person and time, however far back the page is."""
    database.execute(SEED)
    database.execute("analyze public.video_interactions")
    # The planner takes the one of views alone, or the one of everything when that is in better shape.
    names = database.execute(
        "select inhrelid::regclass::text from pg_inherits "
        "where inhparent in ('public.idx_user_recent_watch'::regclass, 'public.video_interactions_user_idx'::regclass)"
    ).fetchall()
    indexes = {str(name).removeprefix("private.") for (name,) in names}
    claims = (
        "select set_config('request.jwt.claims', jsonb_build_object('sub', md5('sample person pro')::uuid)::text, true)"
    )
    database.execute(claims)
    database.execute("set local role authenticated")
    history = "select id, created_at from public.video_interactions where interaction_type = 'view'"
    order = "order by created_at desc, id desc"
    cursor = database.execute(f"{history} {order} offset 1000 limit 1".encode()).fetchone()
    assert cursor is not None
    plan = database.execute(
        f"explain (analyze, format json) {history} and created_at <= %(at)s "
        f"and (created_at < %(at)s or id < %(id)s) {order} limit 50".encode(),
        {"id": cursor[0], "at": cursor[1]},
    ).fetchone()
    assert plan is not None
    scans = [node for node in nodes(plan[0][0]["Plan"]) if node["Node Type"].endswith("Scan")]
    assert scans
    for scan in scans:
        assert scan["Node Type"] in ("Index Scan", "Index Only Scan"), scan
        assert scan["Index Name"] in indexes
    assert sum(scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) for scan in scans) < 200


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.usefixtures("planted")
async def test_s_266_sample_people_sign_in_by_password(stack: Stack) -> None:
    """S-266: each of the five signs in, sees the own history alone, and premium and up see analytics."""
    settings = Settings(url=stack.api_url, publishable_key=Secret(stack.keys.publishable))
    for tier in TIERS:
        async with Client(settings) as client:
            await client.sign_in(f"sample-{tier}@example.com", password=Secret("sample-password"))
            own = await found(client.supabase.table("users").select("id,name,email,user_tier"))
            assert [(row["name"], row["user_tier"]) for row in own] == [(f"표본 {tier}", tier)]
            assert own[0]["email"].startswith("s***@")
            views = await found(client.supabase.table("video_interactions").select("user_id").limit(50))
            assert {row["user_id"] for row in views} == {own[0]["id"]}
            analytics = await found(client.supabase.table("keyword_effectiveness").select("keyword").limit(1))
            assert len(analytics) == (0 if tier in ("free", "trial") else 1)
            assert len(await ShortsApi(client).trending_now("KR", limit=5)) == 5


async def found(query: Any) -> Any:
    return (await query.execute()).data
