"""What the feed is judged by, on cases that are worked out by hand."""

from __future__ import annotations

import gzip
from math import log2
from pathlib import Path

import pytest

from app.cli.eval import problem_of, show
from app.errors import DatasetError, SettingsError
from app.shorts.feed_eval import FeedReport, FeedRow
from app.shorts.feed_eval_baselines import BASELINES, check_extras, rank_baseline
from app.shorts.feed_eval_data import FeedSplit, Video, read_feed_log, split_log
from app.shorts.feed_eval_metrics import FeedScores, judge_lists, likeness, ndcg
from app.shorts.feed_eval_sql import FEEDS, line_of

from ..test_cli import NOWHERE, ondol
from .feed_logs import PEOPLE, VIDEOS, shown_before, write_feed_log

CAT, DOG, BOTH, SAME = (
    Video("1", "a", 1, ("1",), 30, 0),
    Video("2", "b", 2, ("2",), 30, 0),
    Video("3", "c", 1, ("1", "2"), 30, 0),
    Video("4", "a", 2, ("2",), 30, 0),
)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> FeedSplit:
    return split_log(read_feed_log(write_feed_log(tmp_path_factory.mktemp("log"))))


def test_ndcg_by_hand() -> None:
    assert ndcg([7, 8, 9], {7}, 10) == 1
    assert ndcg([8, 7, 9], {7}, 10) == pytest.approx(1 / log2(3))
    assert ndcg([7, 8, 9], {7, 9}, 10) == pytest.approx((1 + 0.5) / (1 + 1 / log2(3)))
    assert ndcg([8, 9], {7}, 10) == 0
    assert ndcg([8, 7], {7}, 1) == 0
    assert ndcg([7], set(range(20)), 10) == pytest.approx(1 / sum(1 / log2(place + 2) for place in range(10)))


def test_likeness_by_hand() -> None:
    assert likeness(CAT, DOG) == 0
    assert likeness(CAT, BOTH) == 0.5
    assert likeness(CAT, SAME) == 1
    untagged = Video("5", "d", 0, (), 30, 0)
    assert likeness(untagged, Video("6", "e", 0, (), 30, 0)) == 0


def test_lists_are_judged_by_hand() -> None:
    scores = judge_lists([[0, 2], [3, 0, 1], []], [{2}, {1, 2}, {0}], [CAT, DOG, BOTH, SAME], most=2)
    assert scores.ndcg == pytest.approx((1 / log2(3) + 0 + 0) / 3)
    assert scores.recall == pytest.approx((1 + 0 + 0) / 3)
    assert scores.coverage == 3 / 4
    assert scores.likeness == pytest.approx((0.5 + 1) / 2)
    assert scores.people == 3


def test_a_log_is_read_and_split(split: FeedSplit, tmp_path: Path) -> None:
    log = read_feed_log(write_feed_log(tmp_path))
    assert (len(log.videos), len(log.people)) == (VIDEOS, PEOPLE)
    assert (len(log.history), len(log.val), len(log.test)) == (PEOPLE * 10, PEOPLE * 2, PEOPLE * 3)
    assert len(split.learned) == PEOPLE * 12
    assert len(split.judged) == PEOPLE
    assert all(len(wanted) == 3 for wanted in split.wanted)
    assert max(meeting.at_ms for meeting in split.learned) < split.now_ms
    first = [meeting for meeting in log.history if meeting.person == 0]
    assert [meeting.is_watched for meeting in first] == [True] * 9 + [False]
    assert [meeting.is_liked for meeting in first] == [True] + [False] * 9
    assert [meeting.at_ms for meeting in first] == sorted(meeting.at_ms for meeting in first)


def test_what_was_shown_before_is_nothing_to_find(tmp_path: Path) -> None:
    log = read_feed_log(write_feed_log(tmp_path))
    again = log.history[0]._replace(at_ms=log.test[0].at_ms)
    log.test.append(again)
    split = split_log(log)
    assert again.video not in split.wanted[split.judged.index(again.person)]


def test_validation_knows_nothing_of_what_came_later(tmp_path: Path) -> None:
    log = read_feed_log(write_feed_log(tmp_path))
    split = split_log(log, judge="val")
    assert len(split.learned) == len(log.history)
    assert split.now_ms == min(meeting.at_ms for meeting in log.val)


def test_fewer_people_are_the_same_people_each_time(tmp_path: Path) -> None:
    log = read_feed_log(write_feed_log(tmp_path))
    few, fewer = split_log(log, most=20, learn_from=30), split_log(log, most=10, learn_from=30)
    assert few.judged[:10] == fewer.judged
    assert len({meeting.person for meeting in few.learned}) == 30
    assert set(few.judged) <= {meeting.person for meeting in few.learned}


@pytest.mark.parametrize(
    ("name", "old", "new", "key"),
    [
        ("items.csv", "tag", "label", "dataset_column_missing"),
        ("items.csv", "30000", "long", "dataset_unreadable"),
        ("interactions.csv", "u0,v", "u0,w", "feed_eval_video_unknown"),
        ("interactions.csv", ",1,20000,30000,test", ",0,20000,30000,test", "feed_eval_nobody"),
        ("interactions.csv", ",20000,30000", ",20000", "dataset_unreadable"),
        ("interactions.csv", ",20000,", ",soon,", "dataset_unreadable"),
        ("train_history.csv", "10,", "ten,", "dataset_unreadable"),
    ],
)
def test_a_log_that_is_none_is_refused(tmp_path: Path, name: str, old: str, new: str, key: str) -> None:
    packed = write_feed_log(tmp_path) / f"{name}.gz"
    (tmp_path / name).write_text(gzip.decompress(packed.read_bytes()).decode().replace(old, new), encoding="utf-8")
    packed.unlink()
    with pytest.raises(DatasetError) as refused:
        split_log(read_feed_log(tmp_path))
    assert refused.value.key == key
    assert refused.value.next_step("ko")


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is of no format that is known"):
        read_feed_log(tmp_path)
    with pytest.raises(DatasetError, match="There is no"):
        read_feed_log(tmp_path / "nowhere")


@pytest.mark.parametrize("name", list(BASELINES))
def test_each_baseline_ranks_what_is_new_to_the_person(split: FeedSplit, name: str) -> None:
    shown = shown_before(split)
    lists = rank_baseline(name, split)
    assert all(len(one) == len(set(one)) == 10 for one in lists)
    assert not any(seen.intersection(one) for seen, one in zip(shown, lists, strict=True))
    scores = judge_lists(lists, split.wanted, split.videos)
    assert scores.ndcg > (0.1 if "popularity" in name else 0.4), scores


def test_without_the_extras_the_next_step_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.shorts.feed_eval_baselines.EXTRAS", ("a_package_that_nobody_has",))
    with pytest.raises(SettingsError) as refused:
        check_extras()
    assert refused.value.next_step("en") == "Install them: pip install 'ondol[eval]'."


def test_cells_are_escaped_for_copy() -> None:
    assert line_of(["a\tb", "c\\d\n", 1]) == "a\\tb\tc\\\\d\\n\t1\n"


def test_a_report_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    scores = FeedScores(0.0784, 0.1191, 0.32, 0.1336, 15598)
    show(FeedReport([FeedRow(name, scores, 1.5) for name in (*FEEDS, *BASELINES)], 15598, 7583, 1003442, 60))
    shown = capsys.readouterr().out
    for words in ("0.0784", "0.1191", "15,598", "ours (SQL)", "EASE", "no category", "six weights alone"):
        assert words in shown, shown


def test_a_problem_is_one_line() -> None:
    assert problem_of(ValueError("first\nsecond")) == "first"
    assert problem_of(ValueError()) == "ValueError"


def test_the_command_needs_data_and_a_database(tmp_path: Path) -> None:
    assert ondol("eval", "feed", cwd=tmp_path).returncode == 2
    assert ondol("eval", "feed", "--data", ".", cwd=tmp_path).returncode == 2
    nowhere = "postgresql://postgres@127.0.0.1:9/postgres"
    done = ondol("eval", "feed", "--data", "nowhere", "--database-url", nowhere, cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert "There is no nowhere." in done.stderr
    done = ondol("eval", "feed", "--data", str(write_feed_log(tmp_path)), "--database-url", nowhere, cwd=tmp_path)
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True)
