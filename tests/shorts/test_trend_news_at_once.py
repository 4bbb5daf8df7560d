"""Many writers of trends at the same time: followers get every news once and in order; a webhook works once."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack

WRITERS = 8
TRANSACTIONS = 25
SINCE = "select public.trends_since(%s, 50)"


@pytest.fixture
def mark(stack: Stack) -> Iterator[str]:
    """What begins every keyword of a test; its rows are gone afterwards. News stay: they have no gaps."""
    mark = f"news {uuid4().hex[:8]}"
    yield mark
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("delete from public.trending_keywords where keyword like %s", (f"{mark}%",))
        connection.execute("delete from ops.outbox where data ->> 'keyword' like %s", (f"{mark}%",))


def write(database_url: str, mark: str, writer: int) -> set[str]:
    """Transactions of one to five trends and a rise, every fourth rolled back; returns what was committed."""
    committed: set[str] = set()
    choose = random.Random(writer)  # noqa: S311
    with psycopg.connect(database_url) as connection:
        for number in range(TRANSACTIONS):
            keywords = [f"{mark} {writer} {number} {part}" for part in range(choose.randint(1, 5))]
            for keyword in keywords:
                connection.execute(
                    "insert into public.trending_keywords (keyword, trend_score) values (%s, 0.5)", (keyword,)
                )
            connection.execute(
                "update public.trending_keywords set trend_score = 0.6 where keyword = %s", (keywords[0],)
            )
            if number % 4 == 0:
                connection.rollback()
                continue
            connection.commit()
            committed |= {f"inserted {keyword}" for keyword in keywords} | {f"updated {keywords[0]}"}
    return committed


def follow(database_url: str, cursor: int, is_over: threading.Event) -> list[dict[str, Any]]:
    """All news since a cursor, as somebody gets them who asks again and again until the writers are done."""
    followed: list[dict[str, Any]] = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set role anon")
        while True:
            was_over = is_over.is_set()
            answer = connection.execute(SINCE, (cursor,)).fetchone()
            assert answer is not None
            assert not answer[0]["missed"]
            followed += answer[0]["trends"]
            cursor = answer[0]["cursor"]
            if was_over and answer[0]["is_complete"]:
                return followed


def test_followers_get_every_news_once_and_in_the_order_of_commits(stack: Stack, mark: str) -> None:
    """S-178, S-282: a number that is seen has none before it that comes later, whoever committed when."""
    database_url = stack.database_url()
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute("select (public.trends_since() ->> 'cursor')::bigint").fetchone()
    assert row is not None
    start: int = row[0]
    is_over = threading.Event()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        followers = [pool.submit(follow, database_url, start, is_over) for _ in range(2)]
        writers = [pool.submit(write, database_url, mark, writer) for writer in range(WRITERS)]
        try:
            committed = set().union(*(writer.result(timeout=120) for writer in writers))
        finally:
            is_over.set()
        for follower in followers:
            news = follower.result(timeout=60)
            assert [one["cursor"] for one in news] == list(range(start + 1, start + 1 + len(news)))
            told = [f"{one['change']} {one['keyword']}" for one in news if one["keyword"].startswith(mark)]
            assert len(told) == len(set(told))
            assert set(told) == committed
            assert all(
                told.index(one.replace("updated", "inserted")) < told.index(one) for one in told if "updated" in one
            )


def test_who_commits_second_waits_for_the_first_and_has_the_next_number(stack: Stack, mark: str) -> None:
    """S-282: without the lock on the counter both would take one number, and the second's news had none."""
    insert = "insert into public.trending_keywords (keyword, trend_score) values (%s, 0.5)"

    def commit_second() -> None:
        with psycopg.connect(stack.database_url()) as connection:
            connection.execute(insert, (f"{mark} second",))

    with ThreadPoolExecutor(1) as pool, psycopg.connect(stack.database_url(), autocommit=True) as watching:
        with psycopg.connect(stack.database_url()) as connection:
            connection.execute(insert, (f"{mark} first",))
            connection.execute("set constraints all immediate")  # numbered, and not committed yet
            second = pool.submit(commit_second)
            wait_until_blocked_by(watching, connection.info.backend_pid)
        second.result(timeout=30)
        told = watching.execute(
            "select keyword, cursor from private.trend_news where keyword like %s order by id", (f"{mark}%",)
        ).fetchall()
        heard = watching.execute(
            """
            select payload ->> 'keyword'
            from realtime.messages
            where
                topic = 'trends'
                and payload ->> 'keyword' like %s
            """,
            (f"{mark}%",),
        ).fetchall()
    cursors: dict[str, int | None] = dict(told)
    first, second_one = cursors[f"{mark} first"], cursors[f"{mark} second"]
    assert first is not None
    assert second_one is not None, "it would wait for the next transaction that brings news"
    assert second_one > first
    assert {keyword for (keyword,) in heard} == set(cursors)


def wait_until_blocked_by(connection: psycopg.Connection[Any], pid: int) -> None:
    deadline = time.monotonic() + 30
    blocked = "select exists (select from pg_stat_activity where %s = any (pg_blocking_pids(pid)))"
    while connection.execute(blocked, (pid,)).fetchone() != (True,):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def test_one_webhook_at_many_handlers_at_once_notifies_once(stack: Stack, mark: str) -> None:
    """S-214, S-262: deliveries of one webhook that overlap, and another webhook of the same trend."""
    person = str(uuid4())
    webhook_ids = [f"msg_{uuid4().hex}", f"msg_{uuid4().hex}"]
    event = {
        "type": "trend.detected",
        "timestamp": "2026-01-02T10:00:00.000Z",
        "data": {
            "id": str(uuid4()),
            "keyword": mark,
            "region_code": "KR",
            "trend_score": 0.9,
            "detected_at": "2026-01-02T09:59:59+00:00",
        },
    }

    def deliver(webhook_id: str) -> dict[str, Any]:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            connection.execute("set role service_role")
            row = connection.execute(
                "select public.receive_trend_event(%s, %s)", (webhook_id, json.dumps(event))
            ).fetchone()
        assert row is not None
        answer: dict[str, Any] = row[0]
        return answer

    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("insert into auth.users (id, email) values (%s, %s)", (person, f"{person}@example.com"))
        connection.execute(
            "update public.user_profiles set preferred_keywords = array[%s] where user_id = %s", (mark.upper(), person)
        )
        try:
            with ThreadPoolExecutor(10) as pool:
                answers = list(pool.map(deliver, webhook_ids * 10))
            assert sum(answer["notified"] for answer in answers) == 1
            assert sum(not answer["duplicate"] for answer in answers) == 2
            rows = connection.execute("select count(*) from public.notifications where user_id = %s", (person,))
            assert rows.fetchone() == (1,)
            told = connection.execute(
                "select count(*) from realtime.messages where topic = %s and event = 'notification'",
                (f"user:{person}",),
            )
            assert told.fetchone() == (1,)
        finally:
            connection.execute("select public.erase_user(%s)", (person,))
            connection.execute("delete from ops.webhook_receipts where webhook_id = any(%s)", (webhook_ids,))
