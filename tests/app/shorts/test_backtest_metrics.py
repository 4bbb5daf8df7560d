"""The figures of a backtest against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from app.shorts.backtest_metrics import judge_forecast
from app.shorts.backtest_nab import Labelled, false_alarms, nab_score, windows_hit


def test_a_forecast_is_judged_by_what_the_season_misses() -> None:
    """Season 2: the past changes by |3 - 1|, |6 - 2| from one season to the next, 3 on average."""
    judged = judge_forecast([1, 2, 3, 6], [4, 8, 3], point=[5, 6, 3], lower=[4.5, 5, 3], upper=[6, 9, 3], season=2)
    assert judged
    assert judged.mase == pytest.approx((1 + 2 + 0) / 3 / 3)
    assert judged.seasonal_mase == pytest.approx((1 + 2 + 0) / 3 / 3)  # 3, 6, 3
    assert judged.persistence_mase == pytest.approx((2 + 2 + 3) / 3 / 3)  # 6, 6, 6
    assert judged.smape == pytest.approx((200 / 9 + 400 / 14 + 0) / 3)
    assert judged.coverage == pytest.approx(2 / 3)


def test_nothing_foretold_as_nothing_is_no_error() -> None:
    judged = judge_forecast([0, 1], [0], point=[0], lower=[0], upper=[0], season=1)
    assert judged
    assert (judged.mase, judged.smape, judged.coverage) == (0, 0, 1)


@pytest.mark.parametrize("past", [[5.0] * 48, [1.0, 2.0]])
def test_without_a_season_nothing_can_be_judged(past: list[float]) -> None:
    assert judge_forecast(past, [1], point=[1], lower=[1], upper=[1]) is None


def test_alarms_are_hits_or_false_and_early_ones_neither() -> None:
    series = Labelled(5_000, [(1_000, 1_100), (3_000, 3_100)], [10, 900, 1_050, 1_060, 4_000])
    assert windows_hit(series) == 1
    assert false_alarms(series) == [900, 4_000]


def test_series_without_labels_have_no_score() -> None:
    assert math.isnan(nab_score([Labelled(5_000, [], [1_000])]))
