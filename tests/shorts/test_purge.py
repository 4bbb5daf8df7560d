"""The purge works beside ingest, counters, analyses and people without a deadlock, and takes nothing that is in use."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from scripts.local_stack.settings import Stack
from tests.shorts.conftest import Room
from tests.shorts.test_recording_at_once import at_once

VIDEOS = 30
ROUNDS = 40
# A year ago: nothing of other tests is due then.
LONG_AGO = datetime.now(UTC) - timedelta(days=400)
PURGE = "select private.purge_api_data(1000, now() - interval '300 days')"


@pytest.fixture
def old_videos(stack: Stack, room: Room) -> Iterator[list[str]]:
    """Ids that a test fills and empties; nothing refers to them in the end."""
    mark = uuid4().hex[:6]
    ids = [f"{mark}-old{number}" for number in range(VIDEOS)]
    yield ids
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("delete from public.video_interactions where video_id = any(%s)", (ids,))
        connection.execute("delete from public.cached_videos where video_id = any(%s)", (ids,))
        connection.execute("delete from private.pending_counts where video_id = any(%s)", (ids,))
        connection.execute("delete from public.cached_channels where channel_id like %s", (f"{mark}%",))


def batch(ids: list[str], *, at: datetime, title: str = "a title") -> str:
    """Videos of three channels that share two keywords, backwards: the order is the function's to make."""
    return json.dumps(
        [
            {
                "video_id": video,
                "title": title,
                "channel_id": f"{video.partition('-')[0]}-c{number % 3}",
                "is_playable": True,
                "collected_at": at.isoformat(),
                "keywords": [{"keyword": "old word"}, {"keyword": f"old word {number % 5}"}],
            }
            for number, video in reversed(list(enumerate(ids)))
        ]
    )


def test_purge_and_everybody_else_never_deadlock(room: Room, old_videos: list[str]) -> None:
    """S-216, D12: two purges beside ingest, folds, analyses and viewers of the same videos, all of which succeed."""
    ended = threading.Event()
    counts: list[dict[str, int]] = []

    def repeat(work: Callable[[psycopg.Connection[tuple[object, ...]], int], None]) -> Callable[[], None]:
        def run() -> None:
            number = 0
            with psycopg.connect(room.database_url, autocommit=True) as connection:
                while not ended.is_set():
                    work(connection, number)
                    number += 1

        return run

    def ingest() -> None:
        try:
            with psycopg.connect(room.database_url, autocommit=True) as connection:
                for number in range(ROUNDS):
                    # Later each time, and always due.
                    videos = batch(old_videos, at=LONG_AGO + timedelta(minutes=number), title=f"title {number}")
                    connection.execute("select public.ingest_videos(%s)", (videos,))
        finally:
            ended.set()

    def purge(connection: psycopg.Connection[tuple[object, ...]], _: int) -> None:
        row = connection.execute(PURGE).fetchone()
        assert row is not None
        assert isinstance(row[0], dict)
        counts.append(row[0])
        time.sleep(0.03)  # the others shall find something in between

    def fold(connection: psycopg.Connection[tuple[object, ...]], number: int) -> None:
        connection.execute(
            "insert into private.pending_counts (counter, video_id, keyword, amount)"
            " select 'click', video_id, 'old word', 1 from unnest(%s::text[]) as video_id"
            " union all select 'cache_hit', video_id, null, 1 from unnest(%s::text[]) as video_id",
            (old_videos, old_videos),
        )
        connection.execute("select private.fold_counters()")

    def analyse(connection: psycopg.Connection[tuple[object, ...]], number: int) -> None:
        connection.execute(
            "insert into public.video_quality_scores as stored (video_id, content_quality_score)"
            " select video_id, 0.5 from public.cached_videos where video_id = any(%s) order by video_id"
            " for no key update"  # as who writes scores of many videos does
            " on conflict (video_id, analysis_version) do update set content_quality_score = %s",
            (old_videos, number % 10 / 10),
        )

    def watch(connection: psycopg.Connection[tuple[object, ...]], number: int) -> None:
        with contextlib.suppress(errors.ForeignKeyViolation):  # it is gone just now
            connection.execute(
                "insert into public.video_interactions (user_id, video_id, interaction_type) values (%s, %s, 'view')",
                (room.premium, old_videos[number % 5]),
            )

    work = [ingest, repeat(purge), repeat(purge), repeat(fold), repeat(analyse), repeat(watch)]
    at_once(len(work), lambda number: work[number]())
    with psycopg.connect(room.database_url, autocommit=True) as connection:
        purge(connection, 0)

    assert sum(count["videos_deleted"] for count in counts) >= VIDEOS - 5
    assert sum(count["videos_emptied"] for count in counts) >= 1
    left = (
        "select array_agg(video_id::text order by video_id) from public.cached_videos"
        " where video_id = any(%s) and purged_at is not null"
    )
    watched = "select array_agg(distinct video_id::text) from public.video_interactions where video_id = any(%s)"
    assert room.ask(left, old_videos) == sorted(room.ask(watched, old_videos))
    unpurged = "select count(*) from public.cached_videos where video_id = any(%s) and purged_at is null"
    assert room.ask(unpurged, old_videos) == 0
    mapped = "select count(*) from public.keyword_video_mappings where video_id = any(%s)"
    assert room.ask(mapped, old_videos) == 0


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("select from public.cached_videos where video_id = %s for key share", id="S-216 video"),
        pytest.param("select from public.keyword_video_mappings where video_id = %s for no key update", id="mapping"),
        pytest.param("select from public.video_quality_scores where video_id = %s for update", id="score"),
    ],
)
def test_what_somebody_holds_is_left_to_the_next_run(room: Room, old_videos: list[str], query: str) -> None:
    """S-216: the purge waits for nobody, whatever of a video is held."""
    first, second = old_videos[:2]
    room.ask("select public.ingest_videos(%s)", batch([first, second], at=LONG_AGO))
    room.ask("insert into public.video_quality_scores (video_id) values (%s) returning 1", first)
    known = "select array_agg(video_id::text) from public.cached_videos where video_id = any(%s)"
    with psycopg.connect(room.database_url) as holding:
        holding.execute(query.encode(), (first,))
        with psycopg.connect(room.database_url, autocommit=True) as purging:
            purging.execute("set lock_timeout = '2s'")
            purging.execute(PURGE)
        assert room.ask(known, old_videos) == [first]
        holding.rollback()
    room.ask(PURGE)
    assert room.ask(known, old_videos) is None


def test_a_view_that_is_not_committed_keeps_its_video(room: Room, old_videos: list[str]) -> None:
    """S-216: who watches at this moment keeps the row, which then is emptied and not deleted."""
    video = old_videos[0]
    room.ask("select public.ingest_videos(%s)", batch([video], at=LONG_AGO))
    with room.acting_as(room.premium) as watching, watching.transaction():
        watching.execute(
            "insert into public.video_interactions (video_id, interaction_type) values (%s, 'view')", (video,)
        )
        room.ask(PURGE)
    state = "select purged_at is not null from public.cached_videos where video_id = %s"
    assert room.ask(state, video) is False
    room.ask(PURGE)
    assert room.ask(state, video) is True


def test_a_purged_video_has_no_title_in_the_history(room: Room, old_videos: list[str]) -> None:
    """S-216: the person still has watched it, and is not shown what it was called; then it comes back."""
    video = old_videos[0]
    history = (
        "select video.title from public.video_interactions as seen"
        " left join public.cached_videos as video using (video_id) where seen.video_id = %s"
    )
    room.ask("select public.ingest_videos(%s)", batch([video], at=LONG_AGO, title="the old title"))
    with room.acting_as(room.premium) as watching:
        watching.execute(
            "insert into public.video_interactions (video_id, interaction_type) values (%s, 'view')", (video,)
        )
        assert watching.execute(history.encode(), (video,)).fetchall() == [("the old title",)]
        room.ask(PURGE)
        assert watching.execute(history.encode(), (video,)).fetchall() == [(None,)]
        room.ask("select public.ingest_videos(%s)", batch([video], at=datetime.now(UTC), title="here again"))
        assert watching.execute(history.encode(), (video,)).fetchall() == [("here again",)]
