"""The invented data set: same arguments, same bytes; marked as invented; its bursts stand out and nothing else does."""

from __future__ import annotations

import csv
import gzip
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.shorts.dataset import ChartRow, VideoRow, check_dataset, read_chart, read_videos
from app.shorts.keywords import keywords_of
from scripts.sample_data import BURSTS, PAST_BURST, rhythm, snapshots, write_sample

END = datetime(2026, 9, 21, 13, tzinfo=UTC)
Rows = list[dict[str, str]]


def read(file: Path) -> Rows:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, end=END)
    return folder


@pytest.fixture(scope="module")
def chart(sample: Path) -> Rows:
    return read(sample / "chart.csv.gz")


@pytest.fixture(scope="module")
def videos(sample: Path) -> dict[str, dict[str, str]]:
    return {row["video_id"]: row for row in read(sample / "videos.csv.gz")}


def test_the_same_arguments_make_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, end=END)
    for name in ("chart.csv.gz", "videos.csv.gz"):
        assert (tmp_path / name).read_bytes() == (sample / name).read_bytes()
    write_sample(tmp_path, end=END, seed=2)
    assert (tmp_path / "chart.csv.gz").read_bytes() != (sample / "chart.csv.gz").read_bytes()


def test_the_columns_are_those_of_the_real_data(sample: Path) -> None:
    headers = {
        "chart.csv.gz": "collected_at,country,source,rank,video_id,views,likes,comments,subs",
        "videos.csv.gz": "video_id,title,channel,published_at,duration_s,category_id,"
        "first_seen,last_seen,countries,n_titles",
    }
    for name, columns in headers.items():
        assert ",".join(read(sample / name)[0]) == columns


def test_the_reader_of_real_data_refuses_no_row(sample: Path, chart: Rows, videos: dict[str, dict[str, str]]) -> None:
    check_dataset(sample)
    charted = [row for row in read_chart(sample / "chart.csv.gz") if isinstance(row, ChartRow)]
    described = [row for row in read_videos(sample / "videos.csv.gz") if isinstance(row, VideoRow)]
    assert (len(charted), len(described)) == (len(chart), len(videos))


def test_everything_says_that_it_is_invented(videos: dict[str, dict[str, str]]) -> None:
    assert 130 <= len(videos) <= 170
    for row in videos.values():
        assert re.fullmatch(r"sample\d{5}", row["video_id"])
        assert row["channel"].endswith("(sample)")


def test_ten_days_of_snapshots_end_at_the_given_time(chart: Rows) -> None:
    times = sorted({datetime.fromisoformat(row["collected_at"]) for row in chart})
    assert times == snapshots(END)
    assert times[-1] == END
    assert len(times) == 40
    assert {row["country"] for row in chart} == {"KR", "US", "JP"}


def test_rows_are_unique_ranked_and_known(chart: Rows, videos: dict[str, dict[str, str]]) -> None:
    assert {row["video_id"] for row in chart} == set(videos)
    lists: dict[tuple[str, ...], list[int]] = defaultdict(list)
    shown = Counter((row["collected_at"], row["country"], row["source"], row["video_id"]) for row in chart)
    assert set(shown.values()) == {1}
    for row in chart:
        lists[row["collected_at"], row["country"], row["source"]].append(int(row["rank"]))
        assert row["source"] in {"hot", "chart"}
        assert videos[row["video_id"]]["published_at"] < row["collected_at"]
        assert videos[row["video_id"]]["first_seen"] <= row["collected_at"] <= videos[row["video_id"]]["last_seen"]
    for ranks in lists.values():
        assert ranks == list(range(1, len(ranks) + 1))
        assert len(ranks) <= 25


def test_running_totals_never_fall(chart: Rows) -> None:
    last: dict[str, int] = {}
    for row in chart:
        assert int(row["views"]) >= last.get(row["video_id"], 0) >= 0
        last[row["video_id"]] = int(row["views"])


def test_evenings_are_busier_than_mornings(chart: Rows) -> None:
    assert rhythm(21) == pytest.approx(1.0)
    assert rhythm(9) == pytest.approx(0.4)
    count = Counter(
        (datetime.fromisoformat(row["collected_at"]) + timedelta(hours=9)).hour
        for row in chart
        if row["country"] == "JP"  # no burst there
    )
    assert count[22] > 1.5 * count[10]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("hour", [0, 6, 13, 21])
def test_the_planted_bursts_stand_out_at_the_end_and_nothing_else(tmp_path: Path, seed: int, hour: int) -> None:
    write_sample(tmp_path, end=END.replace(hour=hour), seed=seed)
    scores = last_z_scores(tmp_path, country="KR")
    assert all(scores[word] > 6 for word in BURSTS), scores
    assert abs(scores[PAST_BURST]) < 2
    assert max(score for word, score in scores.items() if word not in BURSTS) < 5, scores


def last_z_scores(folder: Path, *, country: str) -> dict[str, float]:
    """z of each keyword's videos in the last snapshot against its seven days before."""
    titles = {row["video_id"]: row["title"] for row in read(folder / "videos.csv.gz")}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    times: dict[str, None] = {}
    for row in read(folder / "chart.csv.gz"):
        times[row["collected_at"]] = None
        if row["country"] == country:
            for keyword in keywords_of(titles[row["video_id"]]):
                counts[keyword.keyword][row["collected_at"]] += 1
    *before, last = list(times)
    scores = {}
    for word, count in counts.items():
        series = [count[time] for time in before[-28:]]
        scores[word] = (count[last] - statistics.mean(series)) / max(1.0, statistics.stdev(series))
    return scores


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.sample_data", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_writes_the_folder_and_says_that_it_invents(sample: Path, tmp_path: Path) -> None:
    done = run(str(tmp_path / "new" / "folder"), "--end", "2026-09-21T22:00:00+09:00")
    assert done.returncode == 0, done.stderr
    assert "Invented" in done.stdout
    assert (tmp_path / "new" / "folder" / "chart.csv.gz").read_bytes() == (sample / "chart.csv.gz").read_bytes()


def test_without_an_end_the_last_snapshot_is_the_current_hour(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    assert run(str(tmp_path)).returncode == 0
    last = datetime.fromisoformat(read(tmp_path / "chart.csv.gz")[-1]["collected_at"])
    assert last.minute == last.second == 0
    assert before - timedelta(hours=1) <= last <= datetime.now(UTC)


def test_a_wrong_time_gets_one_sentence(tmp_path: Path) -> None:
    done = run(str(tmp_path), "--end", "yesterday")
    assert done.returncode == 2
    assert "'yesterday' is not a time" in done.stderr
