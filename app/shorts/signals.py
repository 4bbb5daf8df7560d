"""How often each keyword was listed in an hour, and how many views its videos gained. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from .api import SignalsInput
from .dataset import ChartRow

__all__ = ["HourSignals", "hourly_signals"]


class HourSignals(NamedTuple):
    """The counts of one hour and region; `lines` are those of the first row that mentions each keyword."""

    signals: SignalsInput
    lines: list[int]


def hourly_signals(rows: Iterable[ChartRow], *, keywords: Mapping[str, Iterable[str]]) -> Iterator[HourSignals]:
    """Per keyword, region and hour, the number of distinct listed videos and the views that they gained.

    `rows` are in the order of time; one hour is held at a time. A video's gain is its running total less that of its
    earlier listing in the same region, 0 at the first.
    """
    earlier: dict[tuple[str, str], int] = {}
    for hour, hour_rows in groupby(rows, key=lambda row: row.collected_at.replace(minute=0, second=0, microsecond=0)):
        listed: dict[str, dict[str, tuple[int, int]]] = {}  # region → video → (first line, highest total)
        for row in hour_rows:
            if row.video_id in keywords:
                videos = listed.setdefault(row.region, {})
                line, views = videos.get(row.video_id, (row.line, 0))
                videos[row.video_id] = (line, max(views, row.views))
        for region, videos in listed.items():
            tally: dict[str, list[int]] = {}  # keyword → [first line, mentions, views]
            for video_id, (line, views) in videos.items():
                # A total that went down was a wrong reading, not a loss of views.
                gained = max(views - earlier.get((region, video_id), views), 0)
                earlier[region, video_id] = views
                for keyword in keywords[video_id]:
                    entry = tally.get(keyword)
                    if entry is None:
                        tally[keyword] = [line, 1, gained]
                    else:
                        entry[1] += 1
                        entry[2] += gained
            # In the order in which the database keeps them: a row then goes where the one before it went.
            in_order = sorted(tally.items())
            signals = SignalsInput(
                region=region,
                bucket=hour.isoformat(),
                source="youtube_api",
                keywords=[keyword for keyword, _ in in_order],
                mentions=[entry[1] for _, entry in in_order],
                views=[entry[2] for _, entry in in_order],
            )
            yield HourSignals(signals, [entry[0] for _, entry in in_order])
