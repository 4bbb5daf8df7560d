"""What the feed is compared with: popularity, decayed popularity, item neighbours, ALS and EASE, by numpy and implicit.

Each was tuned on history → val, never on test; docs/feed-quality.md shows what was tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .feed_eval_data import DAY_MS, FeedSplit

__all__ = ["BASELINES", "check_extras", "rank_baseline"]

Floats = NDArray[np.floating[Any]]
Scores = Callable[[NDArray[np.int64]], Floats]

EXTRAS = ("psycopg", "scipy", "implicit")
PEOPLE_AT_ONCE = 1000
HALF_LIFE_DAYS = 1.0
NEIGHBOURS, SHRINK = 300, 20.0
RIDGE = 300.0
FACTORS, REGULARISATION, CONFIDENCE, ITERATIONS = 32, 1.0, 10.0, 12
# What it counts to have been shown a video and not to have watched half of it.
SHOWN_TO_NEIGHBOURS, SHOWN_TO_EASE, SHOWN_TO_ALS = 1.0, 1.0, 0.5


def check_extras() -> None:
    """Raise SettingsError when what only the evaluation needs is not installed: before the work, not after it."""
    missing = [name for name in EXTRAS if find_spec(name) is None]
    if missing:
        raise SettingsError("feed_eval_extras_missing", names=", ".join(missing))


def rank_baseline(name: str, split: FeedSplit, most: int = 10) -> list[list[int]]:
    """The first `most` videos for each judged person, without those that the person was shown."""
    known = Known(split)
    scores = BASELINES[name](known)
    # Where a method knows nothing of a person, all its scores are equal: then what is popular is better than chance.
    little = known.popularity / (1e6 * max(float(known.popularity.max()), 1.0))
    lists: list[list[int]] = []
    judged = np.array(split.judged, dtype=np.int64)
    for start in range(0, len(judged), PEOPLE_AT_ONCE):
        people = judged[start : start + PEOPLE_AT_ONCE]
        table = np.array(scores(people), dtype=np.float64) + little
        table[known.shown[people].nonzero()] = -np.inf
        lists.extend(best(table, most))
    return lists


def best(table: Floats, most: int) -> Iterator[list[int]]:
    for row in table:
        order = np.lexsort((np.arange(len(row)), -row))[:most]
        yield [int(video) for video in order if np.isfinite(row[video])]


class Known:
    """What is learned from, as sparse tables of people by videos."""

    def __init__(self, split: FeedSplit) -> None:
        self.sparse = import_module("scipy.sparse")
        size = (len(split.people), len(split.videos))
        people = np.array([meeting.person for meeting in split.learned], dtype=np.int64)
        videos = np.array([meeting.video for meeting in split.learned], dtype=np.int64)
        watched = np.array([meeting.is_watched for meeting in split.learned], dtype=bool)
        days = (split.now_ms - np.array([meeting.at_ms for meeting in split.learned])) / DAY_MS
        self.shown = self.ones(people, videos, size)
        self.watched = self.ones(people[watched], videos[watched], size)
        self.popularity = np.bincount(videos[watched], minlength=size[1]).astype(np.float64)
        worth = 2.0 ** (-days[watched] / HALF_LIFE_DAYS)
        self.decayed = np.bincount(videos[watched], worth, minlength=size[1])

    def ones(self, people: NDArray[np.int64], videos: NDArray[np.int64], size: tuple[int, int]) -> Any:
        table = self.sparse.csr_matrix((np.ones(len(people), dtype=np.float32), (people, videos)), shape=size)
        table.data[:] = 1
        return table

    def graded(self, shown: float) -> Any:
        """1 where a video was watched, `shown` where it was only shown."""
        return (self.watched * (1 - shown) + self.shown.multiply(shown)).tocsr().astype(np.float32)


def popularity(known: Known) -> Scores:
    return lambda people: np.tile(known.popularity, (len(people), 1))


def decayed_popularity(known: Known) -> Scores:
    return lambda people: np.tile(known.decayed, (len(people), 1))


def item_neighbours(known: Known) -> Scores:
    """Shrunk cosine of the two audiences, the nearest of each, summed over what the person met."""
    met = known.graded(SHOWN_TO_NEIGHBOURS)
    together = (met.T @ met).toarray()
    size = np.sqrt(np.diag(together))
    near = together / (size[:, None] * size[None, :] + SHRINK)
    np.fill_diagonal(near, 0)
    kept = min(NEIGHBOURS, len(near) - 1)
    if kept < len(near):
        cut = np.partition(near, len(near) - kept, axis=1)[:, len(near) - kept]
        near[near < cut[:, None]] = 0
    table = known.sparse.csr_matrix(near)
    return lambda people: np.asarray((met[people] @ table).toarray())


def ease(known: Known) -> Scores:
    """Steck's EASE: the linear model of each video by all others, in closed form."""
    met = known.graded(SHOWN_TO_EASE)
    gram = (met.T @ met).toarray()
    gram[np.diag_indices_from(gram)] += RIDGE
    inverse = np.linalg.inv(gram)
    model = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(model, 0)
    return lambda people: np.asarray(met[people] @ model)


def als(known: Known) -> Scores:
    """Implicit matrix factorisation by alternating least squares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads of BLAS, which cost time and change nothing
        model = import_module("implicit.als").AlternatingLeastSquares(
            factors=FACTORS,
            regularization=REGULARISATION,
            alpha=CONFIDENCE,
            iterations=ITERATIONS,
            random_state=7,
            num_threads=1,
        )
        model.fit(known.graded(SHOWN_TO_ALS), show_progress=False)
    people_of, videos_of = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return lambda people: people_of[people] @ videos_of.T


BASELINES: dict[str, Callable[[Known], Scores]] = {
    "popularity": popularity,
    "decayed_popularity": decayed_popularity,
    "item_neighbours": item_neighbours,
    "als": als,
    "ease": ease,
}
