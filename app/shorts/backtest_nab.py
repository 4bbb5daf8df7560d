"""The score of the Numenta Anomaly Benchmark, standard profile, of alarms in labelled series. Pure.

An alarm in a labelled window counts once, the more the earlier it is; one outside costs, and more the farther it is
behind a window; a window without an alarm costs 1. 100 is every window at its first bin and nothing else, 0 is silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Labelled", "false_alarms", "nab_score", "series_score", "windows_hit"]

FALSE_ALARM_COSTS = 0.11
PROBATION = 0.15  # of at most so many bins nothing is scored:
PROBATION_BINS = 5_000


@dataclass(frozen=True)
class Labelled:
    """One series: how many bins, which windows (first and last bin), and where a detector rang."""

    bins: int
    windows: Sequence[tuple[int, int]]
    alarms: Sequence[int]


def judged_alarms(series: Labelled) -> list[int]:
    """Those after the beginning, in which nothing is scored."""
    return [alarm for alarm in series.alarms if alarm >= int(PROBATION * min(series.bins, PROBATION_BINS))]


def window_of(series: Labelled, alarm: int) -> tuple[int, int] | None:
    return next((window for window in series.windows if window[0] <= alarm <= window[1]), None)


def windows_hit(series: Labelled) -> int:
    """How many windows hold an alarm that counts."""
    return len({window_of(series, alarm) for alarm in judged_alarms(series)} - {None})


def false_alarms(series: Labelled) -> list[int]:
    """The alarms that count and lie in no window."""
    return [alarm for alarm in judged_alarms(series) if window_of(series, alarm) is None]


def sigmoid(position: float) -> float:
    """From 1 far before the end of a window through 0 at its end to -1 far behind it."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def series_score(series: Labelled) -> float:
    """The raw score: at best the number of windows, for silence minus as many."""
    score = 0.0
    found: set[tuple[int, int]] = set()
    for alarm in judged_alarms(series):
        window = window_of(series, alarm)
        if window is None:
            behind = [window for window in series.windows if window[1] < alarm]
            position = (alarm - behind[-1][1]) / max(behind[-1][1] - behind[-1][0], 1) if behind else math.inf
            score += FALSE_ALARM_COSTS * sigmoid(position)
        elif window not in found:
            found.add(window)
            score += sigmoid(-(window[1] - alarm + 1) / (window[1] - window[0] + 1)) / sigmoid(-1.0)
    return score - (len(series.windows) - len(found))


def nab_score(all_series: Iterable[Labelled]) -> float:
    """100 · (S - S of silence) / (S at best - S of silence) over all series together."""
    raw, windows = 0.0, 0
    for series in all_series:
        raw += series_score(series)
        windows += len(series.windows)
    return 100 * (raw + windows) / (2 * windows) if windows else math.nan
