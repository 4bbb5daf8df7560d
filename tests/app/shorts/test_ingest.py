from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.errors import DatasetError, NotAllowedError, OndolError, UnreachableError, request_error
from app.shorts import calls, ingest, sending
from app.shorts.dataset import ChartRow, parse_chart_row
from app.shorts.ingest import ingest_dataset
from app.shorts.sending import IngestReport
from app.shorts.signals import hourly_signals
from app.shorts.tables import Refusal

from .datasets import chart_row, video_row, write_broken_dataset, write_dataset
from .fakes import FakeRuns, FakeShorts


def listing(line: int, at: str, video: str, views: int, *, region: str = "KR") -> ChartRow:
    row = parse_chart_row((at, region, video, str(views), "", ""), file="chart.csv", line=line)
    assert isinstance(row, ChartRow)
    return row


def test_signals_count_distinct_videos_and_gained_views_per_hour() -> None:
    keywords = {"a": ("김치", "밥"), "b": ("김치",)}
    rows = [
        listing(2, "2026-07-10T00:10:00Z", "a", 100),
        listing(3, "2026-07-10T00:50:00Z", "a", 130),  # the same hour and video, in another list
        listing(4, "2026-07-10T00:50:00Z", "b", 50),
        listing(5, "2026-07-10T00:50:00Z", "b", 50, region="US"),
        listing(6, "2026-07-10T00:50:00Z", "unknown", 9),
        listing(7, "2026-07-10T06:10:00Z", "a", 200),
        listing(8, "2026-07-10T06:10:00Z", "b", 40),  # a wrong reading: no views are lost
        listing(9, "2026-07-10T06:10:00Z", "b", 70, region="US"),
    ]
    signals = [
        (line, hour["bucket"], hour["region"], keyword, mentions, views)
        for hour, lines in hourly_signals(rows, keywords=keywords)
        for line, keyword, mentions, views in zip(lines, hour["keywords"], hour["mentions"], hour["views"], strict=True)
    ]
    first, second = "2026-07-10T00:00:00+00:00", "2026-07-10T06:00:00+00:00"
    assert sorted(signals) == [
        (2, first, "KR", "김치", 2, 0),
        (2, first, "KR", "밥", 1, 0),
        (5, first, "US", "김치", 1, 0),
        (7, second, "KR", "김치", 2, 70),
        (7, second, "KR", "밥", 1, 70),
        (9, second, "US", "김치", 1, 20),
    ]


async def test_a_data_set_arrives_with_counts_keywords_and_signals(tmp_path: Path) -> None:
    write_dataset(
        tmp_path,
        chart=[
            chart_row(views=1000),
            chart_row("2026-07-10T06:24:48Z", views=1500, likes=""),
            chart_row("2026-07-10T06:24:48Z", country="US", video="video000002"),
        ],
        videos=[video_row(), video_row("video000002", title="Kimchi", countries="US"), video_row("video000003")],
    )
    shorts = FakeShorts()
    report = await ingest_dataset(tmp_path, into=shorts)
    video = shorts.videos["video000001"]
    assert (video["view_count"], video["collected_at"]) == (1500, "2026-07-10T06:24:48+00:00")
    assert "like_count" not in video
    assert video["keywords"][0] == {"keyword": "김치", "relevance": 1.0, "source": "youtube_api"}
    assert "view_count" not in shorts.videos["video000003"]
    assert shorts.signals["김치", "KR", "2026-07-10T06:00:00+00:00"]["views"] == 500
    assert (report.videos_read, report.chart_rows_read, report.refused_count) == (3, 3, 0)
    assert (report.videos.inserted, report.signals.inserted) == (3, len(shorts.signals))


async def test_a_second_run_changes_nothing_whatever_the_regions(tmp_path: Path) -> None:
    chart = [chart_row(country=country, views=n) for n in (1, 2) for country in ("KR", "US")]
    write_dataset(tmp_path, chart=chart, videos=[video_row(countries="KR|US"), video_row("video000002")])
    shorts = FakeShorts()
    korea = await ingest_dataset(tmp_path, into=shorts, regions=["KR"])
    assert {region for _, region, _ in shorts.signals} == {"KR"}
    everything = await ingest_dataset(tmp_path, into=shorts)
    assert everything.videos.updated == everything.signals.updated == 0
    assert everything.videos.unchanged == korea.videos.inserted == 2
    again = await ingest_dataset(tmp_path, into=shorts)
    assert again.videos.inserted == again.videos.updated == again.signals.inserted == again.signals.updated == 0


async def test_only_what_was_listed_in_the_regions_is_sent(tmp_path: Path) -> None:
    videos = [video_row(), video_row("video000002", countries="US"), video_row("video000003", countries="JP")]
    write_dataset(tmp_path, chart=[chart_row()], videos=videos)
    shorts = FakeShorts()
    await ingest_dataset(tmp_path, into=shorts, regions=["KR", "JP"])
    assert sorted(shorts.videos) == ["video000001", "video000003"]


async def test_rows_out_of_order_give_the_same_signals(tmp_path: Path) -> None:
    chart = [chart_row(f"2026-07-10T{hour:02}:{minute}:00Z", views=hour) for hour in range(20) for minute in (10, 40)]
    videos = [video_row()]
    straight, mixed = FakeShorts(), FakeShorts()
    await ingest_dataset(write_dataset(tmp_path / "a", chart=chart, videos=videos), into=straight)
    shuffled = chart[::3] + chart[1::3] + chart[2::3]
    await ingest_dataset(write_dataset(tmp_path / "b", chart=shuffled, videos=videos), into=mixed)
    assert straight.signals == mixed.signals
    assert straight.videos == mixed.videos


async def test_a_file_too_long_to_keep_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("video000001", "video000002", "video000003")
    chart = [chart_row(f"2026-07-10T{hour:02}:24:48Z", video=names[hour % 3], views=hour) for hour in range(9)]
    write_dataset(tmp_path, chart=chart, videos=[video_row(name) for name in names])
    kept, again = FakeShorts(), FakeShorts()
    await ingest_dataset(tmp_path, into=kept)
    monkeypatch.setattr(ingest, "LISTINGS_KEPT", 4)
    await ingest_dataset(tmp_path, into=again)
    assert kept.signals
    assert (again.signals, again.videos) == (kept.signals, kept.videos)


async def test_broken_rows_are_listed_with_their_lines_and_the_good_ones_load(tmp_path: Path) -> None:
    expected = write_broken_dataset(tmp_path)
    shorts = FakeShorts()
    report = await ingest_dataset(tmp_path, into=shorts)
    assert {(refusal.file, refusal.line): refusal.code for refusal in report.refusals} == expected
    assert report.refused == Counter(expected.values())
    assert report.chart_rows_untitled == 1
    assert sorted(shorts.videos) == ["video000001", "video000002", "video000009"]
    assert (report.videos_read, report.chart_rows_read) == (9, 9)


async def test_what_the_database_rejects_is_traced_to_its_line(tmp_path: Path) -> None:
    write_dataset(
        tmp_path,
        chart=[chart_row(), chart_row(video="video000002")],
        videos=[
            video_row(),
            video_row("video000002", title="강아지"),
        ],
    )
    shorts = FakeShorts()
    refused = {"video000002", "강아지"}
    shorts.refuse = lambda row: "ON007" if refused & {row.get("video_id"), row.get("keyword")} else None
    report = await ingest_dataset(tmp_path, into=shorts)
    assert report.refusals == [
        Refusal("videos.csv", 3, "ON007", "refused as ON007"),
        Refusal("chart.csv", 3, "ON007", "refused as ON007"),
    ]
    assert report.refusals[0].say("ko") == "videos.csv:3: refused as ON007"
    assert (report.videos.rejected, report.signals.rejected) == (1, 1)


async def test_batches_are_no_larger_than_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "VIDEOS_PER_BATCH", 10)
    monkeypatch.setattr(ingest, "SIGNALS_PER_BATCH", 7)
    videos = [video_row(f"video{n:06}", title=f"word{n}") for n in range(25)]
    chart = [chart_row(video=f"video{n:06}") for n in range(25)]
    chart += [chart_row(f"2026-07-1{day}T00:24:48Z", video=f"video{n:06}") for day in (1, 2, 3) for n in range(4)]
    shorts = FakeShorts()
    await ingest_dataset(write_dataset(tmp_path, chart=chart, videos=videos), into=shorts)
    # An hour stays whole: its counts come in one element.
    assert shorts.batches == [10, 10, 5, 25, 8, 4]


async def test_what_may_pass_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    shorts = FakeShorts()
    shorts.failures = [
        UnreachableError("unreachable", url="u", problem="gone"),
        request_error("deadlock detected", doing="ingest_videos", code="40P01", status=500),
    ]
    report = await ingest_dataset(tmp_path, into=shorts, sleep=sleep)
    assert report.videos.inserted == 1
    assert pauses == [0.5, 1.0]

    shorts.failures = [UnreachableError("unreachable", url="u", problem="gone") for _ in range(calls.ATTEMPTS)]
    with pytest.raises(UnreachableError):
        await ingest_dataset(tmp_path, into=shorts, sleep=sleep)


async def test_a_refusal_of_the_backend_ends_the_run_at_once(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    shorts = FakeShorts()
    shorts.failures = [request_error("denied", doing="ingest_videos", code="42501", status=403)]
    with pytest.raises(NotAllowedError) as raised:
        await ingest_dataset(tmp_path, into=shorts)
    assert isinstance(raised.value.__cause__, ExceptionGroup)
    assert not shorts.batches


@pytest.mark.parametrize("region", ["kr", "XX", ""])
async def test_an_unknown_region_is_refused_before_anything_is_read(tmp_path: Path, region: str) -> None:
    with pytest.raises(OndolError, match="no region"):
        await ingest_dataset(tmp_path / "absent", into=FakeShorts(), regions=[region])


async def test_an_unusable_file_sends_nothing(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[], videos=[video_row()])
    (tmp_path / "chart.csv").write_text("collected_at,country\n")
    shorts = FakeShorts()
    with pytest.raises(DatasetError, match="no column video_id"):
        await ingest_dataset(tmp_path, into=shorts)
    assert not shorts.batches


async def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    last: dict[str, tuple[int, int | None]] = {}

    def on_progress(stage: str, done: int, total: int | None) -> None:
        last[stage] = (done, total)

    await ingest_dataset(tmp_path, into=FakeShorts(), on_progress=on_progress)
    assert last == {"read_videos": (1, 1), "read_chart": (1, 1), "send_videos": (1, 1), "send_signals": (1, 1)}


async def test_an_interrupted_run_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "VIDEOS_PER_BATCH", 10)
    videos = [video_row(f"video{n:06}") for n in range(45)]
    write_dataset(tmp_path, chart=[chart_row(video="video000044")], videos=videos)
    shorts, runs = FakeShorts(), FakeRuns()
    shorts.refuse = lambda row: exit_at(row, "video000030")
    with pytest.raises(NotAllowedError):
        await ingest_dataset(tmp_path, into=shorts, runs=runs)
    assert runs.outcomes == ["failed"]
    assert runs.saved[-1] == {"sent": {"0:videos": 30}}
    shorts.refuse, shorts.batches = lambda row: None, []
    report = await ingest_dataset(tmp_path, into=shorts, runs=runs)
    assert (report.resumed, report.skipped, report.videos.received) == (True, 3, 15)
    assert (len(shorts.videos), runs.outcomes[-1]) == (45, "done")
    again = await ingest_dataset(tmp_path, into=shorts, runs=runs)
    assert (again.resumed, again.skipped, again.videos.unchanged) == (False, 0, 45)
    await ingest_dataset(tmp_path, into=shorts, runs=runs, regions=["KR"])
    assert runs.request is not None
    assert runs.request["regions"] == ["KR"]


def exit_at(row: Any, video_id: str) -> None:
    if row.get("video_id") == video_id:
        raise request_error("denied", doing="ingest_videos", code="42501", status=403)


async def test_a_cancelled_run_says_so(tmp_path: Path) -> None:
    write_dataset(tmp_path, chart=[chart_row()], videos=[video_row()])
    runs, shorts = FakeRuns(), FakeShorts()
    shorts.failures = [UnreachableError("unreachable", url="u", problem="gone")]

    async def work() -> None:
        await ingest_dataset(tmp_path, into=shorts, runs=runs, sleep=forever)

    async def forever(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    waiting = asyncio.Event()
    task = asyncio.create_task(work())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runs.outcomes == ["interrupted"]


def test_refusals_beyond_the_list_are_still_counted() -> None:
    report = IngestReport()
    for line in range(sending.REFUSALS_KEPT + 5):
        report.refuse(Refusal("chart.csv", line, "bad_time", "collected_at ''"))
    assert len(report.refusals) == sending.REFUSALS_KEPT
    assert report.refused_count == sending.REFUSALS_KEPT + 5
