"""Every format is told by its names and headers, streamed, and refuses a row by name."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import DatasetError
from app.messages import TEXTS
from app.shorts.csv_videos import CSV_COLUMNS, CSV_OPTIONAL, SourcedVideo, parse_csv_video, read_csv_videos
from app.shorts.formats import Charts, Videos, open_dataset
from app.shorts.ingest import DryRun, ingest_dataset
from app.shorts.tables import Refusal
from app.shorts.trending import TRENDING_COLUMNS, TRENDING_OPTIONAL, parse_trending_row
from app.shorts.velocity import POOL_COLUMNS, READING_COLUMNS, parse_pool_row, parse_reading
from app.shorts.youtube_dump import read_dump

from .datasets import chart_row, video_row, write_dataset
from .fakes import FakeShorts

READ_AT = "2026-07-10T00:24:48+00:00"


def resource(number: int = 1, **parts: Any) -> dict[str, Any]:
    return {
        "kind": "youtube#video",
        "id": f"video{number:06}",
        "snippet": {"title": f"김치 {number}", "channelId": "UC1", "channelTitle": "채널", "tags": ["요리"]},
        "contentDetails": {"duration": "PT58S"},
        "status": {"privacyStatus": "public", "uploadStatus": "processed", "embeddable": True},
        "statistics": {"viewCount": str(number)},
        **parts,
    }


def page(*resources: Any) -> dict[str, Any]:
    return {"kind": "youtube#videoListResponse", "pageInfo": {"totalResults": 2}, "items": list(resources), "etag": "x"}


def write_text(file: Path, content: str) -> Path:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", encoding="utf-8") as out:
        out.write(content)
    return file


def read(file: Path) -> tuple[list[str], list[tuple[int, str]]]:
    rows = list(read_dump(file, collected_at=READ_AT))
    return (
        [row.video["video_id"] for row in rows if isinstance(row, SourcedVideo)],
        [(row.line, row.code) for row in rows if isinstance(row, Refusal)],
    )


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_answer_and_an_array_and_lines_hold_the_same_videos(tmp_path: Path, ending: str, indent: int | None) -> None:
    resources = [resource(1), resource(2)]
    answer = write_text(tmp_path / f"answer.json{ending}", json.dumps(page(*resources), indent=indent))
    array = write_text(tmp_path / f"array.json{ending}", json.dumps(resources, indent=indent))
    one = write_text(tmp_path / f"one.json{ending}", json.dumps(resource(1), indent=indent))
    lines = write_text(tmp_path / f"lines.ndjson{ending}", "\n".join(map(json.dumps, resources)))
    pages = write_text(tmp_path / f"pages.jsonl{ending}", json.dumps(page(*resources)) + "\n\n")
    for file in (answer, array, lines, pages):
        assert read(file) == (["video000001", "video000002"], []), file
    assert read(one) == (["video000001"], [])
    assert len(open_dataset(tmp_path).parts) == 5


def test_a_bad_resource_is_refused_with_its_line_and_the_others_load(tmp_path: Path) -> None:
    bad = [
        7,
        {"id": "?"},
        resource(3, snippet={}),
        resource(4, contentDetails={"duration": "x"}),
        {"kind": "youtube#a"},
    ]
    codes = ["not_an_object", "bad_video_id", "missing_value", "bad_duration", "no_video"]
    lines = [*map(json.dumps, bad), "{", json.dumps(resource(9))]
    file = write_text(tmp_path / "lines.ndjson", "\n".join(lines))
    expected = list(zip(range(1, 7), [*codes, "bad_json"], strict=True))
    assert read(file) == (["video000009"], expected)
    document = "[\n" + ",\n".join([*map(json.dumps, bad), json.dumps(resource(9))]) + "\n]"
    expected = list(zip(range(2, 7), codes, strict=True))
    assert read(write_text(tmp_path / "array.json", document)) == (["video000009"], expected)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "7",
        '"x"',
        "[",
        "{",
        "[1 2]",
        '{"items": [}',
        '{"items" []}',
        "[{}] x",
        "[" * 200_000,
        '{"a": "' + "x" * 5_000_000,
    ],
    ids=["empty", "number", "text", "open array", "open object", "no comma", "items", "colon", "more", "deep", "long"],
)
def test_a_document_that_is_none_ends_with_one_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DatasetError, match="cannot be read after line"):
        read(write_text(tmp_path / "a.json", content))


def test_a_truncated_file_is_one_error(tmp_path: Path) -> None:
    file = write_text(tmp_path / "a.ndjson.gz", "\n".join(json.dumps(resource(n)) for n in range(2_000)))
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(DatasetError, match="cannot be read"):
        read(file)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
parts = st.dictionaries(
    st.sampled_from(["id", "kind", "items", "snippet", "contentDetails", "status", "statistics"]),
    values | st.dictionaries(st.sampled_from(["title", "duration", "tags", "viewCount", "regionRestriction"]), values),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(parts | values, max_size=5), st.sampled_from(["a.json", "a.ndjson"]), st.binary(max_size=5))
def test_any_payload_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, items: list[Any], name: str, noise: bytes
) -> None:
    file = tmp_path_factory.mktemp("payload") / name
    content = "\n".join(map(json.dumps, items)) if name == "a.ndjson" else json.dumps(page(*items))
    file.write_bytes(content.encode("utf-8", "surrogatepass") + noise)
    try:
        for row in read_dump(file, collected_at=READ_AT):
            assert isinstance(row, SourcedVideo) or f"refused_{row.code}" in TEXTS
            if isinstance(row, SourcedVideo):
                json.dumps(row.video).encode()
    except DatasetError:
        return  # the noise: the file as a whole is refused by name


anything = st.text(max_size=30) | st.sampled_from(
    ["KR", "KR|US", READ_AT, "2020-08-12", "true", "7", "[None]", '"a"|"b"']
)


@settings(max_examples=200)
@given(st.data())
def test_any_row_of_any_table_is_a_value_or_a_named_refusal(data: st.DataObject) -> None:
    for columns, parse in (
        ((*CSV_COLUMNS, *CSV_OPTIONAL), parse_csv_video),
        ((*TRENDING_COLUMNS, *TRENDING_OPTIONAL), parse_trending_row),
        (POOL_COLUMNS, parse_pool_row),
        (READING_COLUMNS, parse_reading),
    ):
        fields = data.draw(st.lists(anything, min_size=len(columns), max_size=len(columns)))
        row = parse(fields, file="kr_f", line=1)
        if isinstance(row, Refusal):
            assert f"refused_{row.code}" in TEXTS
            assert row.say("ko") != row.say("en")


def test_a_csv_of_videos_says_what_its_columns_say(tmp_path: Path) -> None:
    file = write_text(
        tmp_path / "v.csv",
        "video_id,title,collected_at,tags,keywords,is_embeddable,blocked_regions,view_count,other\n"
        f"video000001,김치,{READ_AT},a|b,김치|요리,TRUE,KR|US,7,x\n"
        f"video000002,김치,{READ_AT},,,,,,\n"
        f"video000003,김치,{READ_AT},,,maybe,,,\n"
        "video000004,김치,today,,,,,,\n",
    )
    first, second, third, fourth = read_csv_videos(file)
    assert isinstance(first, SourcedVideo)
    assert first.video == {
        "video_id": "video000001",
        "title": "김치",
        "collected_at": READ_AT,
        "keywords": [{"keyword": word, "relevance": 1.0, "source": "youtube_api"} for word in ("김치", "요리")],
        "tags": ["a", "b"],
        "is_embeddable": True,
        "region_restrictions": {"blocked": ["KR", "US"]},
        "view_count": 7,
    }
    assert isinstance(second, SourcedVideo)
    assert set(second.video) == {"video_id", "title", "collected_at", "keywords"}
    assert isinstance(third, Refusal)
    assert isinstance(fourth, Refusal)
    assert [(row.line, row.code) for row in (third, fourth)] == [(4, "bad_flag"), (5, "bad_time")]


async def test_the_first_of_kaggles_tables_quotes_its_tags(tmp_path: Path) -> None:
    header = "country,video_id,trending_date,title,channel_title,category_id,publish_time,tags,views,likes,dislikes"
    header += ",comment_count,comments_disabled,ratings_disabled,video_error_or_removed\n"
    rows = [
        'KR,video000001,2017-11-14,Kimchi,C,22,2017-11-13T17:13:01.000Z,"kimchi stew|""rice""",9,1,0,5,False,False,',
        "US,video000001,2017-11-15,Kimchi,C,22,2017-11-13T17:13:01.000Z,[none],30,2,0,0,True,False,False",
        "US,video000002,2017-11-15,Gone,C,22,2017-11-13T17:13:01.000Z,[None],30,2,0,0,False,True,True",
        "US,video000003,17.15.11,Bad,C,22,2017-11-13T17:13:01.000Z,[None],30,2,0,0,False,True,True",
    ]
    write_text(tmp_path / "t.csv", header + "\n".join(rows) + "\n")
    shorts = FakeShorts()
    report = await ingest_dataset(tmp_path, into=shorts)
    assert [(refusal.line, refusal.code) for refusal in report.refusals] == [(5, "bad_date")]
    first, second = shorts.videos["video000001"], shorts.videos["video000002"]
    assert (first["view_count"], first["like_count"], first["collected_at"]) == (30, 2, "2017-11-15T23:59:59+00:00")
    assert "comment_count" not in first
    assert first["tags"] == []
    assert "privacy_status" not in second
    assert {region for _, region, _ in shorts.signals} == {"KR", "US"}


async def test_a_pool_stores_what_has_a_title_and_counts_the_rest(tmp_path: Path) -> None:
    header = "video_id,published_at,title,channel,channel_id,duration_s,category_id,is_short\n"
    rows = ["video000001,2026-07-01T00:00:00Z,김치,,,58,,", "video000002,2026-07-01T00:00:00Z,,,,,,"]
    rows += ["video000003,2026-07-01T00:00:00Z,never read,,,,,"]
    write_text(tmp_path / "kr_videos.csv", header + "\n".join(rows))
    views = [
        "video000001,2026-07-10T09:00:00Z,9",
        "video000001,2026-07-10T06:00:00Z,6",
        "video000002,2026-07-10T06:00:00Z,1",
    ]
    write_text(tmp_path / "kr_views.csv", "video_id,collected_at,views\n" + "\n".join(views))
    shorts = FakeShorts()
    report = await ingest_dataset(tmp_path, into=shorts)
    assert (report.videos_read, report.videos_untitled, report.chart_rows_untitled) == (3, 1, 1)
    assert report.refused == {"never_read": 1}
    assert (shorts.videos["video000001"]["view_count"], shorts.videos["video000001"]["region"]) == (9, "KR")
    assert not shorts.signals


def test_what_is_of_no_known_format_is_told_with_what_is_known(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "x,y\n")
    write_text(tmp_path / "b.json", json.dumps({"kind": "youtube#videoCategoryListResponse", "items": []}))
    for path in (tmp_path, tmp_path / "a.csv", tmp_path / "b.json"):
        with pytest.raises(DatasetError, match=r"no format that is known: chart\.csv \+ videos\.csv"):
            open_dataset(path)
    write_text(tmp_path / "c.ndjson", json.dumps(resource()))
    dataset = open_dataset(tmp_path, collected_at=datetime(2026, 7, 1, tzinfo=UTC))
    assert dataset.ignored == ("a.csv", "b.json")
    (row,) = dataset.parts[0].videos()
    assert isinstance(row, SourcedVideo)
    assert row.video["collected_at"] == "2026-07-01T00:00:00+00:00"
    with pytest.raises(DatasetError, match="There is no"):
        open_dataset(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "formats", "videos", "refused", "untitled"),
    [
        ("youtube-8countries-2026-07", ["charts"], 21_531, 0, 0),
        ("youtube-kr-us-jp-2025-11", ["charts"], 11_432, 0, 0),
        ("youtube-kr-velocity-2026-08", ["velocity"], 4_208, 0, 41_282),
        ("youtube-kaggle-trending-samples", ["trending"] * 3, 7_842, 0, 0),
    ],
)
async def test_every_shared_data_set_is_read_whole(
    shared_data: Path, name: str, formats: list[str], videos: int, refused: int, untitled: int
) -> None:
    dataset = open_dataset(shared_data / name)
    assert [part.format for part in dataset.parts] == formats
    bad = 0
    found: set[tuple[int, str]] = set()
    empty: set[str] = set()
    for number, part in enumerate(dataset.parts):
        assert isinstance(part, Charts)
        for row in part.videos():
            if isinstance(row, Refusal):
                bad += 1
            elif row.title:
                found.add((number, row.video_id))
            else:
                empty.add(row.video_id)
        bad += sum(isinstance(row, Refusal) for row in part.listings())
    assert (len(found), bad, len(empty)) == (videos, refused, untitled)


MEASURE = """
import asyncio, resource, sys
from pathlib import Path
from app.shorts.ingest import DryRun, ingest_dataset
report = asyncio.run(ingest_dataset(Path(sys.argv[1]), into=DryRun()))
print(report.videos.received, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def lines_of(kind: str, rows: int) -> Iterator[str]:
    if kind == "csv":
        yield "video_id,title,collected_at,view_count\n"
    if kind == "json":
        yield '{"kind": "youtube#videoListResponse", "items": [\n'
    for number in range(rows):
        title = f"Kimchi recipe number {number} #kimchi{number}"
        if kind == "csv":
            yield f"v{number},{title},{READ_AT},{number}\n"
        else:
            yield json.dumps(resource(number, snippet={"title": title})) + "\n"


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_more_rows_take_no_more_memory(tmp_path: Path, kind: str) -> None:
    peaks = []
    for rows in (15_000, 60_000):
        file = tmp_path / f"{rows}.{kind}"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(lines_of(kind, rows))
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True, timeout=300
        )
        received, peak = map(int, done.stdout.split())
        assert received == rows
        peaks.append(peak)
        file.unlink()
    assert peaks[1] - peaks[0] < 10_000, peaks  # kB; a row kept would be one of them, at least


async def test_videos_of_other_regions_stay_out(tmp_path: Path) -> None:
    content = f"video_id,title,collected_at,region\na,A,{READ_AT},KR\nb,B,{READ_AT},US\nc,C,{READ_AT},\n"
    file = write_text(tmp_path / "v.csv", content)
    report = await ingest_dataset(file, into=DryRun(), regions=["KR"])
    assert (report.videos_read, report.videos.received) == (3, 1)
    assert isinstance(open_dataset(file).parts[0], Videos)


async def test_a_folder_of_charts_ignores_nothing(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    assert open_dataset(tmp_path).ignored == ()
