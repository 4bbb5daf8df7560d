from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import DatasetError
from app.messages import TEXTS
from app.shorts.dataset import (
    CHART_COLUMNS,
    VIDEO_COLUMNS,
    VIDEO_OPTIONAL,
    ChartRow,
    VideoRow,
    check_dataset,
    dataset_files,
    parse_chart_row,
    parse_video_row,
    read_chart,
    read_videos,
)
from app.shorts.regions import REGIONS
from app.shorts.tables import Refusal

from .datasets import (
    CHART_HEADER,
    VIDEO_HEADER,
    chart_row,
    video_row,
    write_broken_dataset,
    write_dataset,
    write_rows,
)

GOOD_CHART = ("2026-07-10T09:24:48+09:00", "KR", "abcdefghijk", "1000", "", "0")
GOOD_VIDEO = (
    "abcdefghijk",
    "김치, #김치",
    "",
    "2026-07-09T00:00:00Z",
    "2026-07-10T00:24:48Z",
    "KR|US",
    "0",
    "",
    "",
)
CHART_NAMES = tuple(column if isinstance(column, str) else column[0] for column in CHART_COLUMNS)
VIDEO_NAMES = tuple(column if isinstance(column, str) else column[0] for column in (*VIDEO_COLUMNS, *VIDEO_OPTIONAL))


def test_a_chart_row() -> None:
    row = parse_chart_row(GOOD_CHART, file="chart.csv", line=7)
    assert row == ChartRow(7, datetime(2026, 7, 10, 0, 24, 48, tzinfo=UTC), "KR", "abcdefghijk", 1000, None, 0)


def test_a_video_row() -> None:
    row = parse_video_row(GOOD_VIDEO, file="videos.csv", line=2)
    assert isinstance(row, VideoRow)
    assert (row.title, row.channel, row.duration_seconds, row.category_id) == ("김치, #김치", None, 0, None)
    assert row.regions == ("KR", "US")
    assert row.last_seen is not None
    assert row.last_seen.tzinfo is UTC


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("collected_at", "2026-13-01T00:00:00Z", "bad_time"),
        ("collected_at", "2026-07-10T00:00:00", "bad_time"),
        ("collected_at", "1970-01-01T00:00:00Z", "bad_time"),
        ("collected_at", "9999-12-31T23:59:59-14:00", "bad_time"),
        ("collected_at", "", "missing_value"),
        ("collected_at", "2026\0", "nul_byte"),
        ("country", "kr", "unknown_region"),
        ("country", "XX", "unknown_region"),
        ("country", " ", "missing_value"),
        ("video_id", "../../etc", "bad_video_id"),
        ("video_id", "a" * 21, "bad_video_id"),
        ("video_id", "abc\n", "bad_video_id"),
        ("views", "-1", "negative_count"),
        ("views", "-" + "9" * 5000, "negative_count"),
        ("views", "1.5", "bad_number"),
        ("views", "1_000", "bad_number"),
        ("views", "１０", "bad_number"),
        ("views", "", "missing_value"),
        ("views", "9" * 5000, "too_large"),
        ("views", str(10**12 + 1), "too_large"),
        ("likes", "-3", "negative_count"),
        ("comments", "many", "bad_number"),
    ],
)
def test_a_chart_row_is_refused_by_name(column: str, value: str, code: str) -> None:
    fields = [value if name == column else good for name, good in zip(CHART_NAMES, GOOD_CHART, strict=True)]
    refused = parse_chart_row(fields, file="chart.csv", line=12)
    assert isinstance(refused, Refusal)
    assert (refused.file, refused.line, refused.code) == ("chart.csv", 12, code)
    assert refused.say().startswith(f"chart.csv:12: {column} ")
    assert len(refused.say()) < 200


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("title", "", "missing_value"),
        ("title", "가" * 1001, "too_long"),
        ("title", "a\0b", "nul_byte"),
        ("title", b"\xff\xfe".decode(errors="surrogateescape"), "bad_encoding"),
        ("channel", "a\0b", "nul_byte"),
        ("channel", "c" * 1001, "too_long"),
        ("published_at", "yesterday", "bad_time"),
        ("duration_s", "-1", "negative_count"),
        ("duration_s", "PT1M", "bad_number"),
        ("category_id", "-1", "negative_count"),
        ("countries", "KR,US", "unknown_region"),
        ("countries", "KR||US", "missing_value"),
        ("countries", "", "missing_value"),
        ("last_seen", "0001-01-01T00:00:00+14:00", "bad_time"),
    ],
)
def test_a_video_row_is_refused_by_name(column: str, value: str, code: str) -> None:
    fields = [value if name == column else good for name, good in zip(VIDEO_NAMES, GOOD_VIDEO, strict=True)]
    refused = parse_video_row(fields, file="videos.csv", line=3)
    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert refused.detail.startswith(column)


def test_a_title_of_the_longest_length_is_taken() -> None:
    fields = ["가" * 1000 if name == "title" else good for name, good in zip(VIDEO_NAMES, GOOD_VIDEO, strict=True)]
    assert isinstance(parse_video_row(fields, file="videos.csv", line=2), VideoRow)


anything = st.text(alphabet=st.characters(), max_size=60)
nearly = st.one_of(
    anything,
    st.sampled_from(sorted(REGIONS)),
    st.integers().map(str),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
)


@given(st.tuples(*[nearly] * len(CHART_COLUMNS)))
@example(("0001-01-01T00:00:00+23:59", "KR", "a", "0", "0", "0"))
@example(("2026-07-10T00:00:00Z", "KR", "a", "-0", "", ""))
def test_any_chart_row_is_a_value_or_a_named_refusal(fields: tuple[str, ...]) -> None:
    row = parse_chart_row(fields, file="f", line=1)
    if isinstance(row, Refusal):
        assert f"refused_{row.code}" in TEXTS
        assert row.say("ko") != row.say("en")
    else:
        assert row.views >= 0
        assert row.collected_at.tzinfo is UTC
        assert row.region in REGIONS


@given(st.tuples(*[nearly] * len(VIDEO_NAMES)))
def test_any_video_row_is_a_value_or_a_named_refusal(fields: tuple[str, ...]) -> None:
    row = parse_video_row(fields, file="f", line=1)
    if isinstance(row, Refusal):
        assert f"refused_{row.code}" in TEXTS
    else:
        row.title.encode()
        assert row.regions


@given(st.binary(max_size=400))
@example(b'"')
@example(b'a,b,c,d,e,f\n"unclosed,1,2\n')
@example(b"\xff\xfe\x00\r\r\n")
def test_any_bytes_after_the_header_are_read_to_their_end(rows: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chart.csv"
        file.write_bytes(",".join(CHART_HEADER).encode() + b"\n" + rows)
        lines = 1
        for row in read_chart(file):
            assert row.line > lines or row.line == lines == 1
            assert row.line >= 2
            lines = row.line


@given(st.binary(max_size=400))
def test_any_bytes_that_are_no_such_file_are_refused_as_a_whole(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("videos.csv", "videos.csv.gz"):
            file = Path(folder) / name
            file.write_bytes(content)
            # 400 bytes hold no header of eight named columns, unless a miracle wrote them.
            with pytest.raises(DatasetError, match=re.escape(str(file))):
                list(read_videos(file))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_both_kinds_of_file_are_read(tmp_path: Path, ending: str) -> None:
    write_dataset(tmp_path, chart=[chart_row(), chart_row(views=2)], videos=[video_row()], ending=ending)
    check_dataset(tmp_path)
    chart, videos = dataset_files(tmp_path)
    assert [row.line for row in read_chart(chart)] == [2, 3]
    assert all(isinstance(row, VideoRow) for row in read_videos(videos))


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    """A quoted title may span lines, and an empty line is no row."""
    file = tmp_path / "videos.csv"
    write_rows(file, VIDEO_HEADER, [video_row(title="두\n줄"), video_row(published="?")])
    with file.open("a", encoding="utf-8") as out:
        out.write('\nshort,row\n"a"b\n')
    rows = list(read_videos(file))
    assert [(row.line, getattr(row, "code", "good")) for row in rows] == [
        (2, "good"),
        (4, "bad_time"),
        (6, "wrong_field_count"),
        (7, "bad_csv"),
    ]


def test_a_byte_order_mark_and_other_columns_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "chart.csv"
    shuffled = ("extra", *reversed(CHART_HEADER))
    write_rows(file, shuffled, [("?", *reversed(chart_row()))])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert [type(row) for row in read_chart(file)] == [ChartRow]


def test_bytes_that_are_not_utf8_refuse_one_row(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "videos.csv", VIDEO_HEADER, [video_row(title="AAAA"), video_row()])
    file.write_bytes(file.read_bytes().replace(b"AAAA", b"A\xffAA"))
    refused, good = read_videos(file)
    assert isinstance(refused, Refusal)
    assert refused.code == "bad_encoding"
    refused.say().encode()
    assert isinstance(good, VideoRow)


@pytest.mark.parametrize("column", CHART_NAMES)
def test_a_missing_column_is_named_with_the_file(tmp_path: Path, column: str) -> None:
    write_dataset(tmp_path, chart=[], videos=[])
    write_rows(tmp_path / "chart.csv", [name for name in CHART_HEADER if name != column], [])
    with pytest.raises(DatasetError, match=rf"chart\.csv has no column {column};") as refused:
        check_dataset(tmp_path)
    assert "docs/ingest.md" in (refused.value.next_step("en") or "")


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").touch()
    with pytest.raises(DatasetError, match="no column video_id, title"):
        list(read_videos(tmp_path / "videos.csv"))


def test_missing_and_doubled_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no chart\.csv\[\.gz\]"):
        dataset_files(tmp_path)
    write_dataset(tmp_path, chart=[], videos=[])
    write_dataset(tmp_path, chart=[], videos=[], ending=".csv.gz")
    with pytest.raises(DatasetError, match=r"both chart\.csv\.gz and chart\.csv"):
        dataset_files(tmp_path)


def test_a_truncated_file_says_after_which_line(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "chart.csv.gz", CHART_HEADER, [chart_row(views=n) for n in range(5000)])
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(DatasetError, match=r"chart\.csv\.gz cannot be read after line \d{2,}"):
        list(read_chart(file))
    (tmp_path / "videos.csv.gz").write_text("not gzip")
    with pytest.raises(DatasetError, match=r"videos\.csv\.gz cannot be read after line 0"):
        list(read_videos(tmp_path / "videos.csv.gz"))


def test_every_broken_row_is_named_and_the_good_ones_stay(tmp_path: Path) -> None:
    expected = write_broken_dataset(tmp_path)
    chart, videos = dataset_files(tmp_path)
    rows = [*read_chart(chart), *read_videos(videos)]
    refused = {(row.file, row.line): row.code for row in rows if isinstance(row, Refusal)}
    assert refused == {place: code for place, code in expected.items() if code != "duplicate_video"}
    assert len(rows) - len(refused) == 9


def test_the_real_data_set_is_read_without_a_refusal(shared_data: Path) -> None:
    folder = shared_data / "youtube-8countries-2026-07"
    chart_file, videos_file = dataset_files(folder)
    chart, videos = list(read_chart(chart_file)), list(read_videos(videos_file))
    assert (len(chart), len(videos)) == (74_382, 21_531)
    assert not [row for row in (*chart, *videos) if isinstance(row, Refusal)]
    listed = {row.video_id for row in chart if isinstance(row, ChartRow) and row.region == "KR"}
    assert len(listed) == 2_497
    assert listed == {row.video_id for row in videos if isinstance(row, VideoRow) and "KR" in row.regions}
