"""Scores that are written at once, in whichever order they end: the newest counts, and nobody waits for ever."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from scripts.local_stack.settings import Stack

pytestmark = pytest.mark.usefixtures("without_purge")

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


def test_the_job_the_ingest_and_the_analyses_never_wait_in_a_circle(stack: Stack) -> None:
    """S-124, S-134: four at a time over the same videos, all in the order of their ids."""
    ids = [f"circle-{number:03}" for number in range(100)]
    backwards = [
        {
            "video_id": video,
            "title": "t",
            "is_playable": True,
            "view_count": 1000,
            "like_count": 10,
            "channel_id": "CIR",
        }
        for video in reversed(ids)
    ]
    done: list[str] = []

    def repeat(name: str, statement: str, parameters: Sequence[tuple[object, ...]]) -> None:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            for values in parameters:
                connection.execute(statement.encode(), values)
        done.append(name)

    rounds = range(12)
    ingested = [
        (
            json.dumps(
                [{**row, "like_count": turn, "collected_at": f"2026-01-01T00:{turn:02}:00Z"} for row in backwards]
            ),
        )
        for turn in rounds
    ]
    analysis = '{"categories": [], "keywords": [], "emotions": {}}'
    answers = [(video, analysis, turn / 20) for turn in rounds for video in ids[::-7]]
    work = (
        ("ingest", "select public.ingest_videos(%s)", ingested),
        ("job", "update private.channel_statistics set changed_at = now(); select private.score_videos()", None),
        ("channels", "select private.score_channels()", None),
        ("analyses", "select public.set_ai_analysis(%s, %s, confidence => %s)", answers),
        ("scores", "select public.calculate_quality_score(%s)", [(video,) for video in ids[::-3]]),
    )
    repeat("first", "select public.ingest_videos(%s)", ingested[:1])
    try:
        threads = [
            threading.Thread(target=repeat, args=(name, statement, parameters or [()] * len(rounds)))
            for name, statement, parameters in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert sorted(done) == ["analyses", "channels", "first", "ingest", "job", "scores"]
    finally:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            connection.execute("delete from public.cached_videos where video_id = any(%s)", (ids,))
            connection.execute("delete from public.cached_channels where channel_id = 'CIR'")
