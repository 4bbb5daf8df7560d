"""What a data set is good for in a backtest: labelled series, series with what came after, or charts."""

from __future__ import annotations

import csv
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .formats import Charts, open_dataset
from .tables import open_text

__all__ = ["BurstSeries", "HourlySeries", "open_backtest", "read_bursts", "read_hourly"]

WINDOWS = "windows.json"
TRAIN, TEST = "train", "test"
KNOWN = "windows.json + NAME.csv[.gz] (timestamp, value); train.csv[.gz] + test.csv[.gz]; charts as in docs/ingest.md"
MOST_BINS = 100_000


@dataclass(frozen=True)
class BurstSeries:
    """Counts per bin from `first_at` on, None where none was read; `windows` are the labelled first and last bins."""

    name: str
    first_at: datetime
    bin_seconds: int
    counts: list[float | None]
    windows: list[tuple[int, int]]


@dataclass(frozen=True)
class HourlySeries:
    """Hourly numbers, and those of the hours that followed."""

    name: str
    past: list[float]
    came: list[float]


def open_backtest(path: Path) -> Path | Charts:
    """The folder itself for labelled or hourly series, else its charts; raises DatasetError when it is neither."""
    if path.is_dir() and ((path / WINDOWS).is_file() or is_hourly(path)):
        return path
    charts = [part for part in open_dataset(path).parts if isinstance(part, Charts) and part.has_signals]
    if len(charts) != 1:
        raise DatasetError("dataset_unknown", path=path, known=KNOWN)
    return charts[0]


def is_hourly(folder: Path) -> bool:
    return file_of(folder, TRAIN) is not None and file_of(folder, TEST) is not None


def file_of(folder: Path, stem: str) -> Path | None:
    return next((file for ending in (".csv.gz", ".csv") if (file := folder / f"{stem}{ending}").is_file()), None)


def read_bursts(folder: Path) -> list[BurstSeries]:
    """Every series that has labels; raises DatasetError for a series without a file, or a row that is none."""
    return [read_burst_series(folder, name, windows) for name, windows in read_windows(folder / WINDOWS)]


def read_windows(file: Path) -> Iterator[tuple[str, list[tuple[datetime, datetime]]]]:
    try:
        labels: Any = json.loads(file.read_text(encoding="utf-8"))
        for name, windows in sorted(labels.items()):
            yield name.removesuffix(".csv"), [(moment(first), moment(last)) for first, last in windows]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error


def read_burst_series(folder: Path, name: str, windows: list[tuple[datetime, datetime]]) -> BurstSeries:
    file = file_of(folder, name) or file_of(folder, Path(name).name)  # labels may name the folder that it was in
    if file is None:
        raise DatasetError("dataset_missing", wanted=f"{name}.csv[.gz]", folder=folder)
    read: dict[datetime, float] = {}
    for line, row in rows_of(file):
        if line == 1 and row[1:2] == ["value"]:
            continue
        try:
            written, value = row
            read[moment(written)] = number(value)
        except ValueError as error:
            raise DatasetError("dataset_unreadable", file=file, line=line - 1, problem=error) from error
    times = sorted(read)
    steps = Counter(round((now - before).total_seconds()) for before, now in pairwise(times))
    if not steps:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem="fewer than two rows")
    width = max(steps.most_common(1)[0][0], 1)
    places = [round((at - times[0]).total_seconds() / width) for at in times]
    if places[-1] >= MOST_BINS:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=f"more than {MOST_BINS} bins")
    counts: list[float | None] = [None] * (places[-1] + 1)
    for place, at in zip(places, times, strict=True):
        counts[place] = read[at]
    labelled = []
    for first, last in windows:
        inside = [place for place, at in zip(places, times, strict=True) if first <= at <= last]
        if inside:
            labelled.append((inside[0], inside[-1]))
    return BurstSeries(name, times[0], width, counts, labelled)


def read_hourly(folder: Path) -> list[HourlySeries]:
    """The series of `train` that `test` goes on with; raises DatasetError for what is no number."""
    past, came = (dict(read_numbers(file)) for stem in (TRAIN, TEST) if (file := file_of(folder, stem)))
    return [HourlySeries(name, past[name], values) for name, values in came.items() if past.get(name) and values]


def read_numbers(file: Path) -> Iterator[tuple[str, list[float]]]:
    for line, (name, *values) in rows_of(file):
        try:
            yield name, [number(value) for value in values if value]
        except ValueError as error:
            if line > 1:  # the first may be a header
                raise DatasetError("dataset_unreadable", file=file, line=line - 1, problem=error) from error


def rows_of(file: Path) -> Iterator[tuple[int, list[str]]]:
    line = 0
    try:
        with open_text(file) as opened:
            for line, row in enumerate(csv.reader(opened, strict=True), start=1):
                if row:
                    yield line, row
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DatasetError("dataset_unreadable", file=file, line=line, problem=error) from error


def number(value: str) -> float:
    result = float(value)
    if not math.isfinite(result) or result < 0:
        raise ValueError(f"{value[:40]!r} is no count")
    return result


def moment(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
