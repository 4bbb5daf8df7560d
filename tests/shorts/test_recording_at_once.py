"""Many connections that record at the same time: the trial limit, retries and counters come out exact."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from tests.shorts.conftest import Room

CONNECTIONS = 20
ROWS = 5
DIRECT = (
    "insert into public.video_interactions (video_id, interaction_type) select %s, 'view' from generate_series(1, 5)"
)
RECORD = "select public.record_interaction(%s)"


def at_once(amount: int, work: Callable[[int], Any]) -> list[Any]:
    """What each of so many threads returned, all of which began together."""
    start = threading.Barrier(amount)

    def begin(number: int) -> Any:
        start.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(amount) as pool:
        return list(pool.map(begin, range(amount)))


@pytest.mark.parametrize(
    "ways", [pytest.param((DIRECT,), id="S-153"), pytest.param((RECORD,), id="S-242"), (DIRECT, RECORD)]
)
def test_a_day_on_trial_has_room_for_fifty_however_many_ask(room: Room, ways: tuple[str, ...]) -> None:
    """S-153, S-242, D12: 20 connections of 5 rows each store exactly 50."""
    batch = json.dumps([{"video_id": room.videos[0], "interaction_type": "view"}] * ROWS)

    def record(number: int) -> int:
        way = ways[number % len(ways)]
        with room.acting_as(room.on_trial) as connection:
            try:
                if way == DIRECT:
                    return connection.execute(DIRECT, (room.videos[0],)).rowcount
                answer = connection.execute(RECORD.encode(), (batch,)).fetchone()
            except psycopg.Error as refusal:
                if refusal.sqlstate not in ("PT429", "42501"):
                    raise
                return 0
        assert answer is not None
        return int(answer[0]["stored"])

    stored = at_once(CONNECTIONS, record)

    assert sum(stored) == 50
    assert room.ask("select count(*) from public.video_interactions where user_id = %s", room.on_trial) == 50
    assert room.ask("select used from private.daily_quotas where user_id = %s", room.on_trial) == 50


def test_retries_of_one_batch_store_it_once(room: Room) -> None:
    """S-260: six connections send the same 100 rows at the same time."""
    batch = [{"id": str(uuid4()), "video_id": room.videos[0], "interaction_type": "view"} for _ in range(100)]

    def send(_: int) -> tuple[int, int]:
        with room.acting_as(room.premium) as connection:
            row = connection.execute(RECORD.encode(), (json.dumps(batch),)).fetchone()
        assert row is not None
        assert [one["id"] for one in row[0]["interactions"]] == [one["id"] for one in batch]
        return row[0]["stored"], row[0]["repeated"]

    assert sorted(at_once(6, send)) == [(0, 100)] * 5 + [(100, 0)]
    assert room.ask("select count(*) from public.video_interactions where user_id = %s", room.premium) == 100


def test_retries_of_one_batch_of_events_store_it_once(room: Room) -> None:
    """S-261: six connections send the same 100 events at the same time."""
    interaction = str(uuid4())
    with room.acting_as(room.premium) as connection:
        row = {"id": interaction, "video_id": room.videos[0], "interaction_type": "view"}
        connection.execute(RECORD.encode(), (json.dumps([row]),))
    batch = [{"id": str(uuid4()), "interaction_id": interaction, "event_type": "play"} for _ in range(100)]

    def send(_: int) -> tuple[int, int]:
        with room.acting_as(room.premium) as connection:
            row = connection.execute("select public.record_watch_event(%s)", (json.dumps(batch),)).fetchone()
        assert row is not None
        return row[0]["stored"], row[0]["repeated"]

    assert sorted(at_once(6, send)) == [(0, 100)] * 5 + [(100, 0)]
    assert room.ask("select count(*) from public.watch_events where interaction_id = %s", interaction) == 100


def test_counts_are_exact_however_many_write_and_fold(room: Room) -> None:
    """S-123, S-126, S-133, D68: four writers, two folds and an ingest at once; nothing waits for ever or is lost."""
    rounds, writers = 25, 4
    with room.acting_as(room.premium) as connection:
        row = connection.execute("select public.start_search(%s) ->> 'id'", (room.keyword.upper(),)).fetchone()
    assert row is not None
    clicks = json.dumps(
        [
            {"video_id": video, "interaction_type": "view", "session_id": row[0], "clicked_title": True}
            for video in reversed(room.videos)
        ]
    )
    writing = threading.Event()
    writing.set()
    left = threading.Semaphore(0)

    def write() -> None:
        try:
            with room.acting_as(room.premium) as connection:
                for number in range(rounds):
                    connection.execute(RECORD.encode(), (clicks,))
                    video = room.videos[number % 3]
                    touched = connection.execute("select video_id from public.touch_cached_video(%s)", (video,))
                    assert touched.fetchall() == [(video,)]
        finally:
            left.release()

    def fold() -> None:
        with psycopg.connect(room.database_url, autocommit=True) as connection:
            while writing.is_set():
                connection.execute("select private.fold_counters(7)")

    def ingest() -> None:
        with psycopg.connect(room.database_url, autocommit=True) as connection:
            while writing.is_set():
                videos = [
                    {
                        "video_id": video,
                        "title": f"seen at {time.time_ns()}",
                        "collected_at": room.collected_at,
                        "keywords": [{"keyword": room.keyword, "relevance": time.time_ns() % 100 / 100}],
                    }
                    for video in room.videos
                ]
                connection.execute("select public.ingest_videos(%s)", (json.dumps(videos),))

    def stop() -> None:
        for _ in range(writers):
            left.acquire(timeout=60)
        writing.clear()

    work = [write] * writers + [fold, fold, ingest, stop]
    at_once(len(work), lambda number: work[number]())

    # Another fold of the running stack may have the last ones in hand.
    deadline = time.monotonic() + 30
    waiting = "select count(*) from private.pending_counts where video_id = any(%s)"
    while room.ask(waiting, list(room.videos)) and time.monotonic() < deadline:
        room.ask("select private.fold_counters()")
    clicked = "select array_agg(click_count order by video_id) from public.keyword_video_mappings where keyword = %s"
    assert room.ask(clicked, room.keyword) == [rounds * writers] * 3
    hits = "select sum(cache_hit_count) from public.cached_videos where video_id = any(%s)"
    assert room.ask(hits, list(room.videos)) == rounds * writers


def test_a_fold_that_fails_takes_nothing(room: Room) -> None:
    """S-126: what was counted is still there when the fold's transaction comes to nothing."""
    with room.acting_as(room.premium) as connection:
        connection.execute("select public.touch_cached_video(%s)", (room.videos[0],))
    with psycopg.connect(room.database_url) as connection:
        connection.execute("select private.fold_counters(1000000)")
        connection.rollback()
    room.ask("select private.fold_counters(1000000)")
    hits = "select cache_hit_count from public.cached_videos where video_id = %s"
    deadline = time.monotonic() + 30
    while room.ask(hits, room.videos[0]) != 1 and time.monotonic() < deadline:
        room.ask("select private.fold_counters()")
    assert room.ask(hits, room.videos[0]) == 1


def test_a_trial_that_ends_meanwhile_is_free(room: Room) -> None:
    """S-242: the tier is asked of the table at each statement, not of the token."""
    sixty = json.dumps([{"video_id": room.videos[0], "interaction_type": "view"}] * 60)
    with room.acting_as(room.on_trial) as connection:
        first = connection.execute(RECORD.encode(), (sixty,)).fetchone()
        with pytest.raises(errors.Error) as refusal:
            connection.execute(RECORD.encode(), (sixty,))
        room.ask("update public.user_tiers set expires_at = now() where user_id = %s returning 1", room.on_trial)
        second = connection.execute(RECORD.encode(), (sixty,)).fetchone()
    assert first is not None
    assert first[0]["stored"] == 50
    assert refusal.value.sqlstate == "PT429"
    assert second is not None
    assert second[0]["stored"] == 60


def test_folds_take_turns(room: Room) -> None:
    """D68: while one fold has not ended, another waits, even for other counts."""
    with psycopg.connect(room.database_url) as first, psycopg.connect(room.database_url) as second:
        first.execute("select private.fold_counters(1)")
        with room.acting_as(room.premium) as connection:
            connection.execute("select public.touch_cached_video(%s)", (room.videos[0],))
        second.execute("set local lock_timeout = '300ms'")
        with pytest.raises(errors.LockNotAvailable):
            second.execute("select private.fold_counters()")
