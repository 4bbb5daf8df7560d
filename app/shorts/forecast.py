"""The forecast that the room makes of its keywords, asked for any series of hourly counts. For the service."""

from __future__ import annotations

from collections.abc import Sequence

from .calls import Caller, Row

__all__ = ["ForecastApi", "SeriesForecast"]


class SeriesForecast(Row):
    """A number for each hour to come, in counts; `lower` to `upper` should hold 80 % of what comes.

    `methods` names the three forecasters whose mean `point` is, the best first.
    """

    point: list[float]
    lower: list[float]
    upper: list[float]
    methods: list[str]


class ForecastApi(Caller):
    """The part of `ShortsApi` that forecasts."""

    async def backtest_forecast(self, series: Sequence[float | None], *, horizon: int) -> SeriesForecast:
        """Forecast `horizon` hours (1 to 168) of at most 100,000 hourly counts, oldest first; writes nothing.

        None is an hour that nobody observed. Raises InvalidRequestError (PT400) for a series without a number or with
        one that is not 0 to 1e15.
        """
        arguments = {"series": list(series), "horizon": horizon}
        return await self._call("backtest_forecast", arguments, answer=SeriesForecast)
