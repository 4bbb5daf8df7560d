"""The evaluation over the feed's own SQL: a data set is laid into the real database, and nothing of it stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
import pytest

from app.errors import SettingsError
from app.shorts.feed_eval_data import FeedSplit, read_feed_log, split_log
from app.shorts.feed_eval_metrics import FeedScores, judge_lists
from app.shorts.feed_eval_sql import FEEDS, load_feed, rank_people
from scripts.local_stack.settings import Stack

from .feed_logs import shown_before, write_feed_log

# Other tests leave people and videos behind; within the transaction they are gone.
EMPTY = """
delete from auth.users;
delete from public.video_interactions;
delete from public.cached_videos;
delete from public.cached_channels;
"""


@asynccontextmanager
async def emptied(stack: Stack) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres")) as connection:
        try:
            await connection.execute(EMPTY)
            yield connection
        finally:
            await connection.rollback()


def popular(split: FeedSplit) -> FeedScores:
    counts = Counter(meeting.video for meeting in split.learned if meeting.is_watched)
    shown: dict[int, set[int]] = {}
    for meeting in split.learned:
        shown.setdefault(meeting.person, set()).add(meeting.video)
    order = [video for video, _ in counts.most_common()]
    lists = [[video for video in order if video not in shown.get(person, ())][:10] for person in split.judged]
    return judge_lists(lists, split.wanted, split.videos)


async def test_the_feed_finds_what_a_circle_watches_and_nothing_stays(stack: Stack, tmp_path: Path) -> None:
    split = split_log(read_feed_log(write_feed_log(tmp_path)))
    shown = shown_before(split)
    scores = {}
    async with emptied(stack) as connection:
        feed = await load_feed(connection, split)
        for name in FEEDS:
            lists = await rank_people(feed, name)
            assert all(len(one) == 10 for one in lists), name
            assert not any(seen.intersection(one) for seen, one in zip(shown, lists, strict=True))
            scores[name] = judge_lists(lists, split.wanted, split.videos)
        with pytest.raises(SettingsError, match="holds people"):
            await load_feed(connection, split)
    assert scores["ours"].ndcg > popular(split).ndcg, scores
    assert scores["ours"].ndcg > 0.4, scores
    async with await psycopg.AsyncConnection.connect(stack.database_url("postgres")) as connection:
        left = await connection.execute("select count(*) from public.cached_videos where video_id like 'e00000%'")
        assert await left.fetchone() == (0,)


async def test_the_feed_beats_popularity_on_people_of_the_real_data(shared_data: Path, stack: Stack) -> None:
    folder = shared_data / "kuairand-pure-subset"
    if not folder.is_dir():
        pytest.skip("the data set kuairand-pure-subset (../shared/data) is not beside this checkout")
    split = split_log(read_feed_log(folder), most=500, learn_from=6000)
    started = perf_counter()
    async with emptied(stack) as connection:
        feed = await load_feed(connection, split)
        lists = await rank_people(feed, "ours")
    assert judge_lists(lists, split.wanted, split.videos).ndcg >= popular(split).ndcg
    assert perf_counter() - started < 240
