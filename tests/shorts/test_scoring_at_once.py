"""Two analyses of one video stored at once, in whichever order they end: the newest counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from scripts.local_stack.settings import Stack

INSERT = (
    "insert into public.video_quality_scores (video_id, analysis_version, overall_quality_score, analyzed_at)"
    " values (%s, %s, %s, now() - make_interval(days => %s))"
)


@pytest.fixture
def video(stack: Stack) -> Iterator[str]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("insert into public.cached_videos (video_id, title) values ('scored-at-once', 'one')")
        yield "scored-at-once"
        connection.execute("delete from public.cached_videos where video_id = 'scored-at-once'")


def test_an_older_analysis_that_waited_does_not_win(stack: Stack, video: str) -> None:
    """S-134: the older one begins before the newer one has ended, and ends after it."""
    with (
        psycopg.connect(stack.database_url()) as newer,
        psycopg.connect(stack.database_url()) as older,
        psycopg.connect(stack.database_url(), autocommit=True) as watcher,
    ):
        newer.execute(INSERT, (video, "v2.0", 0.9, 0))

        def store_older() -> None:
            older.execute(INSERT, (video, "v1.0", 0.1, 1))
            older.commit()

        waiting = threading.Thread(target=store_older)
        waiting.start()
        deadline = time.monotonic() + 10
        while watcher.execute("select pg_blocking_pids(%s) <> '{}'", (older.info.backend_pid,)).fetchone() != (True,):
            assert time.monotonic() < deadline, "the older analysis did not wait for the newer one"
            time.sleep(0.02)
        newer.commit()
        waiting.join(timeout=10)
        assert not waiting.is_alive()
        score = watcher.execute("select quality_score from public.cached_videos where video_id = %s", (video,))
        assert score.fetchone() == (0.9,)
