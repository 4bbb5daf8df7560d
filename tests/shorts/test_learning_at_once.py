"""Learning from two runs at once and from runs that were killed: nothing is counted twice, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack

PEOPLE, VIDEOS = 6, 5
LEARN = "select private.learn_neighbours(%s)"


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    mark = uuid4().hex[:8]
    people = [str(uuid4()) for _ in range(PEOPLE)]
    videos = [f"{mark}-{number}" for number in range(VIDEOS)]
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        # Who is there already has been learned, so that what follows learns from the test's people alone.
        learn_all(connection, 5000)
        for video in videos:
            connection.execute(
                "insert into public.cached_videos (video_id, title, is_embeddable, privacy_status, duration)"
                " values (%s, 'a video', true, 'public', 30)",
                (video,),
            )
        connection.execute("select private.fold_video_cards(100000)")
        for person in people:
            connection.execute("insert into auth.users (id, email) values (%s, %s)", (person, f"{person}@example.com"))
            connection.execute(
                "insert into public.video_interactions"
                " (user_id, video_id, interaction_type, created_at, interaction_timestamp)"
                " select %s, video, 'like', now() - interval '1 hour', now() - interval '1 hour'"
                " from unnest(%s::text[]) as video",
                (person, videos),
            )
        yield connection
        connection.execute("delete from public.video_interactions where user_id = any(%s::uuid[])", (people,))
        connection.execute("delete from auth.users where id = any(%s::uuid[])", (people,))
        connection.execute(
            "with numbers as (select video_no from private.video_cards where video_id = any(%s)),"
            " lists as (delete from private.video_neighbours where video_no in (select video_no from numbers))"
            " delete from private.video_audiences where video_no in (select video_no from numbers)",
            (videos,),
        )
        connection.execute("delete from public.cached_videos where video_id = any(%s)", (videos,))


def counted(database: psycopg.Connection[Any]) -> list[tuple[int, int]]:
    """How many people, and how many neighbours, each of the test's videos has."""
    return database.execute(
        "select audience.people, cardinality(neighbour.neighbour_nos)"
        " from private.video_audiences as audience"
        " inner join private.video_cards as card on audience.video_no = card.video_no"
        " left join private.video_neighbours as neighbour on audience.video_no = neighbour.video_no"
        " where card.video_id ~ '^[0-9a-f]{8}-[0-4]$'"
    ).fetchall()


def learn_all(database: psycopg.Connection[Any], batch: int) -> None:
    for _ in range(500):
        row = database.execute(LEARN, (batch,)).fetchone()
        assert row
        if not row[0]["left"]:
            return
    pytest.fail("learning has no end")


def test_s_218_a_killed_run_has_counted_nothing(database: psycopg.Connection[Any], stack: Stack) -> None:
    with psycopg.connect(stack.database_url()) as victim:
        row = victim.execute(LEARN, (PEOPLE,)).fetchone()
        assert row
        assert row[0]["watched"] > 0
        database.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            victim.execute("select 1")
    assert counted(database) == []
    learn_all(database, 2)
    assert counted(database) == [(PEOPLE, VIDEOS - 1)] * VIDEOS


def test_s_218_a_run_rolled_back_between_batches_is_taken_up(database: psycopg.Connection[Any], stack: Stack) -> None:
    database.execute(LEARN, (2,))
    with psycopg.connect(stack.database_url()) as other:
        other.execute(LEARN, (2,))
        other.rollback()
    learn_all(database, 2)
    assert counted(database) == [(PEOPLE, VIDEOS - 1)] * VIDEOS


def test_s_218_of_two_runs_at_once_the_second_sees_what_the_first_counted(
    database: psycopg.Connection[Any], stack: Stack
) -> None:
    answers: list[dict[str, Any]] = []

    def run() -> None:
        with psycopg.connect(stack.database_url(), autocommit=True) as connection:
            row = connection.execute(LEARN, (PEOPLE * 100,)).fetchone()
            assert row
            answers.append(row[0])

    with psycopg.connect(stack.database_url()) as first:
        first.execute(LEARN, (PEOPLE * 100,))
        second = threading.Thread(target=run)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        first.commit()
        second.join(30)
    assert [answer["watched"] for answer in answers] == [0]
    learn_all(database, 5000)
    assert counted(database) == [(PEOPLE, VIDEOS - 1)] * VIDEOS


def test_s_213_the_index_goes_on_until_enough_play(database: psycopg.Connection[Any]) -> None:
    """Of 600 videos that are nearer none plays: without the iterative scan the index would end before the others."""
    with database.transaction(force_rollback=True):
        database.execute(
            "insert into public.cached_videos"
            " (video_id, title, is_embeddable, privacy_status, duration, expires_at, view_count)"
            " select 'iter' || n, 'a video', n > 600, 'public', 30, now() + interval '1 day', 9"
            " from generate_series(1, 640) as n"
        )
        database.execute("select private.fold_video_cards(100000)")
        database.execute(
            "insert into private.video_vectors (video_no, embedding, version)"
            " select video_no, private.unit_vector("
            "     array[1, substr(video_id, 5)::float8 / 1000] || array_fill(0::float8, array[98])"
            " ), 'iter-1'"
            " from private.video_cards where video_id like 'iter%'"
            " on conflict (video_no) do update"
            " set embedding = excluded.embedding, version = excluded.version, inputs = null"
        )
        database.execute("set local enable_seqscan = off")
        database.execute("set local enable_sort = off")
        row = database.execute("select public.similar_videos('iter1', 40)").fetchone()
    assert row
    assert len(row[0]["videos"]) == 40
