from __future__ import annotations

import pytest

from app.errors import UnexpectedAnswerError
from app.shorts.forecast import SeriesForecast

from .test_activity import Backend

ANSWER = {"point": [2.0, 3.5], "lower": [0, 1], "upper": [4, 6], "methods": ["day", "last", "mean"]}


async def test_a_forecast_is_asked_for_by_its_names_with_gaps_as_null() -> None:
    backend = Backend(backtest_forecast=ANSWER)
    forecast = await backend.use(lambda api: api.backtest_forecast((1, None, 3.5), horizon=2))
    assert backend.asked == [("backtest_forecast", {"series": [1, None, 3.5], "horizon": 2})]
    assert forecast == SeriesForecast(point=[2, 3.5], lower=[0, 1], upper=[4, 6], methods=["day", "last", "mean"])


async def test_an_answer_without_an_interval_is_an_error() -> None:
    backend = Backend(backtest_forecast={"point": [1.0], "methods": ["day"]})
    with pytest.raises(UnexpectedAnswerError, match="lower"):
        await backend.use(lambda api: api.backtest_forecast([1], horizon=1))
