"""How good lists of recommended videos are: NDCG, recall, coverage, likeness within a list. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2

from .feed_eval_data import Video

__all__ = ["FeedScores", "judge_lists", "likeness", "ndcg"]


@dataclass(frozen=True)
class FeedScores:
    """Means over people; each from 0 to 1. `coverage` is the share of all videos that anybody was shown."""

    ndcg: float
    recall: float
    coverage: float
    likeness: float
    people: int


def judge_lists(
    lists: Sequence[Sequence[int]], wanted: Sequence[set[int]], videos: Sequence[Video], most: int = 10
) -> FeedScores:
    """Judge the first `most` of each list by what its person wanted. A missing list counts as nothing found."""
    shown = [list(one[:most]) for one in lists]
    pairs: dict[tuple[int, int], float] = {}
    return FeedScores(
        ndcg=mean([ndcg(one, right, most) for one, right in zip(shown, wanted, strict=True)]),
        recall=mean([len(right.intersection(one)) / len(right) for one, right in zip(shown, wanted, strict=True)]),
        coverage=len({video for one in shown for video in one}) / len(videos) if videos else 0.0,
        likeness=mean([list_likeness(one, videos, pairs) for one in shown if len(one) > 1]),
        people=len(shown),
    )


def ndcg(shown: Sequence[int], wanted: set[int], most: int) -> float:
    """Discounted gain over the best that was possible; each wanted video is worth 1 / log2(place + 1)."""
    gained = sum(1 / log2(place + 2) for place, video in enumerate(shown[:most]) if video in wanted)
    best = sum(1 / log2(place + 2) for place in range(min(len(wanted), most)))
    return gained / best if best else 0.0


def likeness(one: Video, other: Video) -> float:
    """1 for the same author; else the share of their tags that both have."""
    if one.author == other.author:
        return 1.0
    first, second = set(one.tags), set(other.tags)
    return len(first & second) / len(first | second) if first | second else 0.0


def list_likeness(shown: Sequence[int], videos: Sequence[Video], pairs: dict[tuple[int, int], float]) -> float:
    total = 0.0
    for pair in combinations(sorted(shown), 2):
        if pair not in pairs:
            pairs[pair] = likeness(videos[pair[0]], videos[pair[1]])
        total += pairs[pair]
    return 2 * total / (len(shown) * (len(shown) - 1))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
