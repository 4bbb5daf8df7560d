"""How far forecasts are from what came. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["JudgedForecast", "judge_forecast"]


@dataclass(frozen=True)
class JudgedForecast:
    """One forecast beside what came.

    Errors are in units of what "the same hour of the last day" misses within the past (MASE), `smape` is in per cent
    (0 to 200), `coverage` is the share of hours within the interval.
    """

    mase: float
    seasonal_mase: float
    persistence_mase: float
    smape: float
    coverage: float


def judge_forecast(
    past: Sequence[float],
    came: Sequence[float],
    *,
    point: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
    season: int = 24,
) -> JudgedForecast | None:
    """Judge a forecast of `came`; None where the past has no season to compare with: too short, or always the same."""
    steps = [abs(now - before) for before, now in zip(past, past[season:], strict=False)]
    scale = fmean(steps) if steps else 0.0
    if not scale or not came:
        return None
    seasonal = [past[len(past) - season + step % season] for step in range(len(came))]
    return JudgedForecast(
        mean_error(came, point) / scale,
        mean_error(came, seasonal) / scale,
        mean_error(came, [past[-1]] * len(came)) / scale,
        fmean(relative_error(value, foretold) for value, foretold in zip(came, point, strict=True)),
        fmean(low <= value <= high for low, value, high in zip(lower, came, upper, strict=True)),
    )


def mean_error(came: Sequence[float], foretold: Sequence[float]) -> float:
    return fmean(abs(value - point) for value, point in zip(came, foretold, strict=True))


def relative_error(value: float, foretold: float) -> float:
    size = abs(value) + abs(foretold)
    return 200 * abs(value - foretold) / size if size else 0.0
