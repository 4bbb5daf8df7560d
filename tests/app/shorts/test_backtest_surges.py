"""Tomorrow's surges: what is asked, what is known, and how an answer is judged, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from app.shorts.backtest_surges import (
    Day,
    best_scored,
    days_of,
    judge_ranking,
    most_mentioned,
    questions_of,
    shuffled_days,
    surging_today,
)
from app.shorts.dataset import ChartRow

FIRST = date(2026, 7, 1)


def days(*counts: dict[str, int], gaps: Sequence[int] = ()) -> list[Day]:
    """One per day; before the places in `gaps` a day was not observed."""
    return [
        Day(FIRST + timedelta(days=place + sum(gap <= place for gap in gaps)), mentions, {})
        for place, mentions in enumerate(counts)
    ]


def listing(at: datetime, video: str, region: str = "KR") -> ChartRow:
    return ChartRow(1, at, region, video, 10, None, None)


def test_a_day_is_korean_and_counts_each_video_once() -> None:
    noon = datetime(2026, 7, 1, 3, tzinfo=UTC)
    rows = [
        listing(noon, "a"),
        listing(noon + timedelta(hours=6), "a"),
        listing(noon + timedelta(hours=6), "b"),
        listing(noon + timedelta(hours=6), "c", region="US"),
        listing(noon + timedelta(hours=12), "a"),  # midnight in Korea
        listing(noon + timedelta(hours=12), "untitled"),
    ]
    keywords = {"a": ["k"], "b": ["k", "l"], "c": ["k"]}
    assert days_of(rows, keywords=keywords, region="KR") == [
        Day(date(2026, 7, 1), {"k": 2, "l": 1}, {"k": 2, "l": 1}),
        Day(date(2026, 7, 2), {"k": 1}, {}),
    ]


@pytest.mark.parametrize(
    ("counts", "is_surge"),
    [
        ((0, 0, 3), True),
        ((0, 0, 2), False),  # too few
        ((2, 2, 4), True),  # twice the mean of 2
        ((2, 3, 4), False),  # less than twice 2.5
        ((0, 3, 3), False),  # no more than today
        ((0, 3, 4), True),
    ],
)
def test_a_surge_is_twice_the_usual_three_and_more_than_today(counts: tuple[int, ...], is_surge: bool) -> None:
    (question,) = questions_of(days(*({"k": count} for count in counts)))
    assert question.surges == ({"k"} if is_surge else set())


def test_what_is_known_of_a_day_does_not_change_with_what_comes() -> None:
    past = [{"k": 1}, {"k": 4, "l": 2}]
    here, there = (questions_of(days(*past, tomorrow, {}))[0] for tomorrow in ({"k": 9, "new": 5}, {}))
    assert here.candidates == there.candidates
    k, other = here.candidates
    assert (k.keyword, k.today, k.usual, k.surges_today) == ("k", 4, 2.5, True)
    assert k.rise_today == pytest.approx(4 / 1.5)
    assert (other.keyword, other.today, other.usual, other.surges_today) == ("l", 2, 1, False)
    assert here.surges == {"k", "new"}


def test_only_seven_days_are_usual() -> None:
    question = questions_of(days({"k": 700}, *({"k": 1} for _ in range(7)), {}))[-1]
    assert question.candidates[0].usual == 1


def test_the_day_after_a_gap_is_not_tomorrow() -> None:
    assert [question.place for question in questions_of(days({}, {}, {}, {}, gaps=[2]))] == [2]


def test_three_ways_to_rank() -> None:
    (question,) = questions_of(days({"often": 9, "b": 1}, {"often": 9, "b": 4, "a": 4}, {}))
    assert most_mentioned(question.candidates, 2) == ["often", "a"]
    assert surging_today(question.candidates, 5) == ["a", "b"]  # 4 / 0.5 before 4 / 1.5
    scores = [{"often": 0.5, "a": 0.1, "b": 0.5}[each.keyword] for each in question.candidates]
    assert best_scored(question.candidates, scores, 2) == ["b", "often"]


def test_precision_recall_and_lead_by_hand() -> None:
    """k surges on the fourth day and peaks on the fifth; l surges on the fourth, m on the fifth."""
    history = days({"k": 1}, {"k": 1}, {"k": 1}, {"k": 4, "l": 3}, {"k": 6, "m": 3}, {"k": 2})
    questions = questions_of(history)
    assert [sorted(question.surges) for question in questions] == [[], ["k", "l"], ["k", "m"], []]
    ranked = judge_ranking(history, questions, [["k", "x"], ["k"], ["m", "k"], []], most=2)
    assert ranked.precision == 3 / 8
    assert ranked.recall == 3 / 4
    # k: named on day 2, peak on day 5; l: never; k again: still from day 2; m: named the day before.
    assert ranked.lead_hours == (72 + 0 + 72 + 24) / 4
    assert (ranked.surges, ranked.warned, ranked.lead_hours_of_warned) == (4, 3, 56)


def test_nothing_asked_is_nothing_judged() -> None:
    ranked = judge_ranking([], [], [], most=20)
    assert (ranked.precision, ranked.recall, ranked.lead_hours) == (0, 0, 0)


def test_shuffled_history_has_the_same_counts_on_other_days() -> None:
    history = days(*({"k": place + 1, f"once{place}": 1} for place in range(20)))
    mixed = shuffled_days(history, seed=1)
    assert [day.day for day in mixed] == [day.day for day in history]
    assert sorted(day.mentions["k"] for day in mixed) == list(range(1, 21))
    assert [day.mentions for day in mixed] != [day.mentions for day in history]
    assert mixed == shuffled_days(history, seed=1) != shuffled_days(history, seed=2)
