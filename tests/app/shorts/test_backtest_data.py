"""Which kind of backtest a folder is for, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import DatasetError
from app.shorts.backtest_data import HourlySeries, open_backtest, read_bursts, read_hourly
from app.shorts.formats import Charts

from .datasets import chart_row, video_row, write_dataset


def write_labelled(folder: Path, *rows: str, windows: object = None) -> Path:
    lines = ["timestamp,value", *rows]
    (folder / "A.csv").write_text("\n".join(lines), encoding="utf-8")
    labels = {"A": [["2015-03-01 00:05:00.000", "2015-03-01 00:11:00"], ["2016-01-01 00:00:00", "2016-01-02 00:00:00"]]}
    (folder / "windows.json").write_text(json.dumps(labels if windows is None else windows), encoding="utf-8")
    return folder


def test_labelled_series_keep_their_clock_and_their_gaps(tmp_path: Path) -> None:
    rows = ("2015-03-01 00:05:00,2", "2015-03-01 00:00:00,1", "2015-03-01 00:20:00,5", "2015-03-01 00:10:00,3")
    folder = write_labelled(tmp_path, *rows)
    assert open_backtest(folder) == folder
    (series,) = read_bursts(folder)
    assert series.first_at == datetime(2015, 3, 1, tzinfo=UTC)
    assert series.bin_seconds == 300
    assert series.counts == [1, 2, 3, None, 5]
    assert series.windows == [(1, 2)]  # the other lies outside the series


def test_labels_may_name_a_file_in_the_folder_that_it_came_from(tmp_path: Path) -> None:
    rows = ("2015-03-01 00:00:00,1", "2015-03-01 00:05:00,2")
    (series,) = read_bursts(write_labelled(tmp_path, *rows, windows={"realTweets/A.csv": []}))
    assert (series.counts, series.windows) == ([1, 2], [])


@pytest.mark.parametrize(
    ("rows", "windows", "problem"),
    [
        (("2015-03-01 00:00:00,1",), None, "fewer than two rows"),
        (("2015-03-01 00:00:00,-1",), None, "is no count"),
        (("2015-03-01 00:00:00,nan",), None, "is no count"),
        (("2015-03-01 00:00:00",), None, "not enough values"),
        (("yesterday,1",), None, "yesterday"),
        (("2015-03-01 00:00:00,1", "2015-03-01 00:00:01,1", "2015-03-02 12:00:00,1"), None, "100000 bins"),
        ((), {"B": []}, r"B.csv\[.gz\]"),
        ((), ["A"], "windows.json"),
        ((), {"A": [["2015-03-01"]]}, "windows.json"),
    ],
)
def test_what_is_no_labelled_series_is_refused(
    tmp_path: Path, rows: tuple[str, ...], windows: object, problem: str
) -> None:
    folder = write_labelled(tmp_path, *rows, windows=windows)
    with pytest.raises(DatasetError, match=problem):
        read_bursts(folder)


def test_hourly_series_are_those_with_a_future(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('"H1",1,2.5,3\nH2,4,,\nH3,9\n', encoding="utf-8")
    (tmp_path / "test.csv").write_text("V1,V2\nH1,4,5\nH2,6\nH9,7\n", encoding="utf-8")
    assert open_backtest(tmp_path) == tmp_path
    assert read_hourly(tmp_path) == [HourlySeries("H1", [1, 2.5, 3], [4, 5]), HourlySeries("H2", [4], [6])]
    (tmp_path / "test.csv").write_text("H1,4\nH2,many\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="many"):
        read_hourly(tmp_path)


def test_charts_are_those_of_ingest_and_nothing_else_is(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "charts", chart=[chart_row()], videos=[video_row()])
    assert isinstance(open_backtest(folder), Charts)
    (tmp_path / "empty").mkdir()
    for unknown in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(DatasetError):
            open_backtest(unknown)
