"""How good the feed is on people it has never seen: its own SQL against the usual baselines, by one protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .feed_eval_baselines import BASELINES, rank_baseline
from .feed_eval_data import FeedSplit
from .feed_eval_metrics import FeedScores, judge_lists
from .feed_eval_sql import FEEDS, load_feed, rank_people

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["FeedReport", "FeedRow", "evaluate_feed"]

MOST = 10


@dataclass(frozen=True)
class FeedRow:
    """One method: what its lists are worth, and the seconds that ranking took for all people."""

    method: str
    scores: FeedScores
    seconds: float


@dataclass(frozen=True)
class FeedReport:
    """All methods on the same people and the same videos."""

    rows: list[FeedRow]
    people: int
    videos: int
    learned_from: int
    prepared_seconds: float
    """Laying the data set into the database and learning from it."""


async def evaluate_feed(
    connection: AsyncConnection[Any],
    split: FeedSplit,
    *,
    on_progress: Callable[[str, int, int | None], None] | None = None,
) -> FeedReport:
    """Judge the feed and the baselines on `split`; leaves all it laid in the caller's transaction: roll it back."""
    show = on_progress or (lambda stage, done, total: None)
    started = perf_counter()
    feed = await load_feed(connection, split, on_progress=show)
    prepared = perf_counter() - started
    rows = []
    for name in FEEDS:
        started = perf_counter()
        lists = await rank_people(feed, name, most=MOST, on_progress=show)
        seconds = perf_counter() - started
        rows.append(FeedRow(name, judge_lists(lists, split.wanted, split.videos, MOST), seconds))
    for done, name in enumerate(BASELINES):
        show("feed_eval_baselines", done, len(BASELINES))
        started = perf_counter()
        lists = rank_baseline(name, split, MOST)
        seconds = perf_counter() - started
        rows.append(FeedRow(name, judge_lists(lists, split.wanted, split.videos, MOST), seconds))
    show("feed_eval_baselines", len(BASELINES), len(BASELINES))
    return FeedReport(rows, len(split.judged), len(split.videos), len(split.learned), prepared)
