"""Searches and interactions become hourly counts exactly once, whoever writes, and however often the job is killed."""

from __future__ import annotations

import contextlib
import random
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack
from tests.shorts.conftest import Room
from tests.shorts.test_recording_at_once import at_once

WRITERS = 16
SEARCHES = 40
COUNT = "select private.count_internal_signals()"
SEARCH = "insert into public.search_sessions (search_query) values (%s)"
WATCH = "insert into public.video_interactions (video_id, interaction_type) values (%s, %s)"
COUNTED = """
select
    bucket,
    keyword,
    mentions,
    views
from private.keyword_signals
where
    data_source = 'internal'
    and keyword like %s
    and mentions > 0
order by
    1,
    2
"""
# In other words than the job's: of each hour who meant each keyword, and which videos they viewed.
RECOUNTED = """
with meant as (
    select
        date_trunc('hour', session_started_at, 'UTC') as bucket,
        lower(search_query) as keyword,
        user_id,
        null as viewed
    from public.search_sessions
    where search_type = 'keyword'
    union
    select
        date_trunc('hour', interaction.created_at, 'UTC'),
        mapping.keyword,
        interaction.user_id,
        case when interaction.interaction_type = 'view' then interaction.video_id end
    from public.video_interactions as interaction
    inner join public.keyword_video_mappings as mapping on interaction.video_id = mapping.video_id
    where interaction.interaction_type <> 'skip'
)
select
    bucket,
    keyword,
    count(distinct user_id),
    count(distinct (user_id, viewed)) filter (where viewed is not null)
from meant
where keyword like %s
group by
    bucket,
    keyword
order by
    1,
    2
"""


@dataclass(frozen=True)
class Crowd:
    """Many people of one test, whose queries all end with its mark."""

    room: Room
    mark: str
    people: tuple[str, ...]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.room.database_url, autocommit=True) as connection:
            return connection.execute(query.encode(), (f"%{self.mark}",)).fetchall()

    def count(self) -> None:
        """Runs the job until no mark is left; the schedule's own run may have some in hand."""
        deadline = time.monotonic() + 30
        while True:
            self.room.ask(COUNT)
            if not self.room.ask("select count(*) from private.uncounted_hours"):
                return
            assert time.monotonic() < deadline, "marks are left however often the job runs"


@pytest.fixture
def crowd(stack: Stack, room: Room) -> Iterator[Crowd]:
    crowd = Crowd(room, room.keyword.rpartition(" ")[2], tuple(str(uuid4()) for _ in range(WRITERS)))
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        for person in crowd.people:
            connection.execute("insert into auth.users (id, email) values (%s, %s)", (person, f"{person}@example.com"))
        yield crowd
        # The room's own people are gone only afterwards, and nobody may refer to its videos by then.
        connection.execute("delete from public.video_interactions where video_id = any(%s)", (list(room.videos),))
        connection.execute("delete from auth.users where id = any(%s::uuid[])", (list(crowd.people),))
        connection.execute("delete from private.keyword_signals where keyword like %s", (f"%{crowd.mark}",))


def test_counts_are_a_recount_however_often_the_job_is_killed(crowd: Crowd) -> None:
    """S-216, D12: 16 people write while runs of the job are cut off at any moment; nothing is lost or doubled."""
    writing = threading.Semaphore(0)
    ended = threading.Event()
    longest_waits: list[float] = []
    killed: list[str] = []

    def write(number: int) -> None:
        chance = random.Random(number)  # noqa: S311  what is written is no secret
        try:
            with crowd.room.acting_as(crowd.people[number]) as connection:
                for _ in range(SEARCHES):
                    if chance.random() < 0.5:
                        connection.execute(SEARCH, (f"Word{chance.randrange(20)} {crowd.mark}",))
                        continue
                    kind = chance.choice(("view", "like", "share", "save", "skip"))
                    connection.execute(WATCH, (chance.choice(crowd.room.videos), kind))
        finally:
            writing.release()

    def count() -> None:
        while not ended.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(crowd.room.database_url, autocommit=True, application_name=crowd.mark) as connection,
            ):
                while not ended.is_set():
                    connection.execute(COUNT)

    def kill() -> None:
        """Ends a run at a random moment: as an operator does, or with its transaction cut off before its end."""
        chance = random.Random(99)  # noqa: S311  nor is when
        with psycopg.connect(crowd.room.database_url, autocommit=True) as connection:
            while not ended.is_set():
                time.sleep(chance.uniform(0.001, 0.03))
                gone = connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = %s and state = 'active'",
                    (crowd.mark,),
                ).fetchall()
                killed.extend("terminated" for _ in gone)
                with psycopg.connect(crowd.room.database_url) as unfinished:
                    unfinished.execute(COUNT)
                    unfinished.pgconn.finish()
                killed.append("cut off")

    def watch() -> None:
        """Who waits for a lock of another that writes or counts, and how long."""
        with psycopg.connect(crowd.room.database_url, autocommit=True) as connection:
            while not ended.is_set():
                row = connection.execute(
                    "select max(extract(epoch from clock_timestamp() - waitstart)) from pg_locks as lock"
                    " inner join pg_stat_activity as session using (pid)"
                    " where not lock.granted and session.query like '%public.%'"
                ).fetchone()
                longest_waits.append(float(row[0] or 0) if row else 0)
                time.sleep(0.001)

    def stop() -> None:
        for _ in range(WRITERS):
            writing.acquire(timeout=120)
        ended.set()

    work = [*(lambda number=number: write(number) for number in range(WRITERS)), count, count, kill, watch, stop]
    at_once(len(work), lambda number: work[number]())
    crowd.count()

    recounted = crowd.rows(RECOUNTED)
    assert crowd.rows(COUNTED) == recounted
    assert sum(row[2] for row in recounted) > WRITERS
    assert {"terminated", "cut off"} <= set(killed)
    assert max(longest_waits) < 0.1, "somebody waited for the job"


def test_what_is_committed_after_a_run_is_counted_by_the_next(crowd: Crowd) -> None:
    """S-216: a run does not wait for an open transaction, and does not forget it."""
    with crowd.room.acting_as(crowd.people[0]) as slow:
        with slow.transaction():
            slow.execute(SEARCH, (f"late {crowd.mark}",))
            crowd.room.ask(COUNT)
            assert crowd.rows(COUNTED) == []
        crowd.count()
    assert [row[1:] for row in crowd.rows(COUNTED)] == [(f"late {crowd.mark}", 1, 0)]


def test_what_is_rolled_back_is_not_counted(crowd: Crowd) -> None:
    """S-216: the mark goes with the search."""
    with crowd.room.acting_as(crowd.people[0]) as undecided, undecided.transaction(force_rollback=True):
        undecided.execute(SEARCH, (f"never {crowd.mark}",))
    crowd.count()
    assert crowd.rows(COUNTED) == []


def test_nobody_waits_for_the_job(crowd: Crowd) -> None:
    """S-216: a run that has done all its work and not ended keeps no writer waiting."""
    with crowd.room.acting_as(crowd.people[0]) as connection:
        connection.execute(SEARCH, (f"first {crowd.mark}",))
    with psycopg.connect(crowd.room.database_url) as counting:
        counting.execute(COUNT)
        with crowd.room.acting_as(crowd.people[1]) as connection:
            connection.execute("set lock_timeout = '200ms'")
            connection.execute(SEARCH, (f"first {crowd.mark}",))
            connection.execute(WATCH, (crowd.room.videos[0], "view"))
        counting.rollback()
    crowd.count()
    assert crowd.rows(COUNTED) == crowd.rows(RECOUNTED)


def test_two_runs_at_once_do_the_work_once(crowd: Crowd) -> None:
    """S-216: the second finds the first at work and leaves."""
    with crowd.room.acting_as(crowd.people[0]) as connection:
        connection.execute(SEARCH, (f"once {crowd.mark}",))
    with psycopg.connect(crowd.room.database_url) as counting:
        counting.execute("select pg_advisory_xact_lock(hashtextextended('shorts-count-internal-signals', 0))")
        assert crowd.room.ask(COUNT) == {"busy": 1}
        counting.rollback()


def test_to_note_the_hour_costs_a_writer_little(crowd: Crowd) -> None:
    """S-216: what a search costs with the note and without, in turns, in the same transaction's place."""
    took: dict[bool, list[float]] = {True: [], False: []}
    search = "insert into public.search_sessions (user_id, search_query) values (%s, 'x')"
    with psycopg.connect(crowd.room.database_url) as connection:
        for turn in range(10):
            noted = turn % 2 == 0
            if not noted:
                connection.execute("alter table public.search_sessions disable trigger note_uncounted")
            for _ in range(5):  # the plans are made anew after the alteration
                connection.execute(search, (crowd.people[0],))
            for _ in range(50):
                began = time.perf_counter()
                connection.execute(search, (crowd.people[0],))
                took[noted].append(time.perf_counter() - began)
            connection.rollback()
    ratio = statistics.median(took[True]) / statistics.median(took[False])
    assert ratio < 2.5, f"a search takes {ratio:.2f} times as long"
