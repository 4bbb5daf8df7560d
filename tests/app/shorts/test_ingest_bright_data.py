"""A run of Bright Data from keywords to the room: nothing is paid for twice, repeats do no harm."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.config import Secret
from app.errors import DatasetError, OndolError, SourceError, UnreachableError
from app.shorts import ingest_bright_data as module
from app.shorts.batches import Rejection
from app.shorts.bright_data import BrightData
from app.shorts.ingest_bright_data import ScrapeReport, ingest_bright_data, ingest_scraped_file
from tests.bright_data_server import MockBrightData, Snapshot, scraped_row, serving
from tests.bright_data_server.server import KEY

from .fakes import FakeShorts

NOW = datetime(2026, 7, 10, 6, 0, tzinfo=UTC)


class FakeRoom(FakeShorts):
    """The backend in memory with its queue and runs; `steps` tells the order of what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()
        self.queued: list[Any] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.steps: list[str] = []
        self.fail_at: str | None = None

    def step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.fail_at:
            raise UnreachableError("unreachable", url="http://x.test", problem="gone")

    async def known_videos(self, video_ids: Sequence[str]) -> set[str]:
        self.step("known")
        return self.known & set(video_ids)

    async def queue_videos(self, videos: Sequence[Any]) -> Any:
        self.step("queue")
        self.queued += videos

    async def ingest_videos(self, videos: Any) -> Any:
        self.step("ingest")
        return await super().ingest_videos(list(videos))

    async def begin_ingest_run(self, source: str, *, request: Any) -> Any:
        key = json.dumps([source, request], sort_keys=True)
        run = self.runs.setdefault(key, {"id": key, "state": {}, "outcome": None})
        if run["outcome"] == "done":
            self.runs[key] = run = {"id": key, "state": {}, "outcome": None}
        return SimpleNamespace(id=key, state=run["state"], resumed=bool(run["state"]))

    async def save_ingest_run(self, run_id: Any, *, state: Any, videos: Sequence[Any] = ()) -> Any:
        self.step("save_videos" if videos else "save")
        self.runs[run_id]["state"] = dict(state)
        self.queued += videos

    async def end_ingest_run(self, run_id: Any, *, outcome: Any, counts: Any) -> Any:
        self.runs[run_id]["outcome"] = outcome
        self.runs[run_id]["counts"] = counts

    @property
    def run(self) -> dict[str, Any]:
        [run] = self.runs.values()
        return run


@pytest.fixture
async def mock() -> AsyncIterator[MockBrightData]:
    async with serving(MockBrightData()) as mock:
        yield mock


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom()


async def no_time(seconds: float) -> None:
    return


async def ingest(mock: MockBrightData, room: FakeRoom, **options: Any) -> ScrapeReport:
    async with BrightData(key=Secret(KEY), url=mock.url, sleep=no_time) as source:
        return await ingest_bright_data(
            options.pop("keywords", ["김치"]),
            region="KR",
            limit=10,
            source=source,
            into=room,
            sleep=no_time,
            now=lambda: NOW,
            **options,
        )


async def test_a_whole_run(mock: MockBrightData, room: FakeRoom) -> None:
    mock.next_snapshot = Snapshot([scraped_row(1), scraped_row(2, keyword="배추"), scraped_row(3), {"error": "dead"}])
    report = await ingest(mock, room)
    assert report.snapshot_id == "s_test1"
    assert (report.received, report.queued, report.stored, report.known) == (4, 3, 3, 0)
    assert report.refusals == [{"index": 3, "code": "source_error", "message": "dead"}]
    assert room.queued[0] == {
        "video_id": "scraped0001", "reason": "discovered", "keyword": "김치", "rank": 1, "region": "KR",
    }  # fmt: skip
    assert [(entry["keyword"], entry["rank"]) for entry in room.queued] == [("김치", 1), ("배추", 1), ("김치", 2)]
    assert room.videos["scraped0001"]["region"] == "KR"
    assert room.videos["scraped0001"]["keywords"][0]["keyword"] == "김치"
    assert room.signals["김치", "KR", "2026-07-10T03:00:00+00:00"]["mentions"] == 3
    assert room.signals["김치", "KR", "2026-07-10T03:00:00+00:00"]["source"] == "bright_data"
    assert (room.run["outcome"], room.run["counts"]["queued"]) == ("done", 3)


async def test_ids_are_queued_before_they_are_stored_or_they_would_pass_for_fresh(
    mock: MockBrightData, room: FakeRoom
) -> None:
    await ingest(mock, room)
    assert room.steps == ["save", "save", "save_videos", "known", "ingest"]


async def test_a_known_video_is_queued_and_not_written(mock: MockBrightData, room: FakeRoom) -> None:
    room.known = {"scraped0001"}
    report = await ingest(mock, room)
    assert (report.queued, report.known, report.stored) == (1, 1, 0)
    assert room.videos == {}


@pytest.mark.parametrize("step", ["save_videos", "known", "ingest"])
async def test_a_paid_snapshot_is_taken_up_again_never_triggered_twice(
    mock: MockBrightData, room: FakeRoom, step: str
) -> None:
    room.fail_at = step
    with pytest.raises(UnreachableError):
        await ingest(mock, room)
    assert room.run["outcome"] == "failed"
    room.fail_at = None
    report = await ingest(mock, room)
    assert report.snapshot_id == "s_test1"
    assert (len(mock.triggers), set(room.videos)) == (1, {"scraped0001"})
    assert room.run["outcome"] == "done"


async def test_a_crash_around_the_trigger_asks_before_it_costs_again(mock: MockBrightData, room: FakeRoom) -> None:
    mock.faults["trigger"] = ["lost"]
    with pytest.raises(SourceError, match="HTTP 502"):
        await ingest(mock, room)
    with pytest.raises(SourceError, match="may have begun it") as unsure:
        await ingest(mock, room)
    assert len(mock.triggers) == 1
    assert "--trigger-again" in (unsure.value.next_step("en") or "")
    await ingest(mock, room, trigger_again=True)
    assert len(mock.triggers) == 2


async def test_a_refused_trigger_leaves_no_doubt(mock: MockBrightData, room: FakeRoom) -> None:
    mock.faults["trigger"] = [(401, {})]
    with pytest.raises(SourceError, match="401"):
        await ingest(mock, room)
    await ingest(mock, room)
    assert len(mock.triggers) == 1


async def test_a_failed_snapshot_is_not_taken_up_again(mock: MockBrightData, room: FakeRoom) -> None:
    mock.next_snapshot = Snapshot([], states=["running", "failed"])
    with pytest.raises(SourceError, match="s_test1 has failed"):
        await ingest(mock, room)
    mock.next_snapshot = Snapshot([scraped_row()])
    assert (await ingest(mock, room)).snapshot_id == "s_test2"


async def test_a_snapshot_that_takes_too_long_waits_for_the_next_run(
    mock: MockBrightData, room: FakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.shorts.ingest_bright_data.LONGEST_WAIT_SECONDS", 50.0)
    mock.next_snapshot = Snapshot([scraped_row()], states=["running"])
    with pytest.raises(SourceError, match="not ready after") as late:
        await ingest(mock, room)
    assert late.value.is_transient
    mock.snapshots["s_test1"].states = ["ready"]
    assert (await ingest(mock, room)).stored == 1
    assert len(mock.triggers) == 1


async def test_a_given_snapshot_is_never_triggered(mock: MockBrightData, room: FakeRoom) -> None:
    mock.snapshots["s_paid"] = Snapshot([scraped_row()])
    assert (await ingest(mock, room, keywords=[], snapshot_id="s_paid")).stored == 1
    assert mock.triggers == []


async def test_the_same_snapshot_again_changes_nothing(mock: MockBrightData, room: FakeRoom) -> None:
    mock.snapshots["s_paid"] = Snapshot([scraped_row(number) for number in range(5)])
    first = await ingest(mock, room, keywords=[], snapshot_id="s_paid")
    signals = dict(room.signals)
    again = await ingest(mock, room, keywords=[], snapshot_id="s_paid")
    assert (first.stored, again.stored, again.unchanged) == (5, 0, 5)
    assert room.signals == signals


async def test_many_rows_go_in_batches(mock: MockBrightData, room: FakeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VIDEOS_PER_BATCH", 10)
    mock.next_snapshot = Snapshot([scraped_row(number) for number in range(35)])
    report = await ingest(mock, room)
    assert (report.queued, report.stored) == (35, 35)
    assert [entry["rank"] for entry in room.queued] == list(range(1, 36))
    assert room.batches[:4] == [10, 10, 10, 5]


async def test_what_the_database_refuses_is_told_with_its_row(mock: MockBrightData, room: FakeRoom) -> None:
    mock.next_snapshot = Snapshot([{"error": "dead"}, scraped_row(1), scraped_row(2)])
    room.refuse = lambda row: "ON006" if row.get("video_id") == "scraped0002" else None
    report = await ingest(mock, room)
    assert [(refusal["index"], refusal["code"]) for refusal in report.refusals] == [(0, "source_error"), (2, "ON006")]


async def test_what_the_queue_refuses_is_neither_stored_nor_counted_as_queued(tmp_path: Path, room: FakeRoom) -> None:
    async def queue(videos: Sequence[Any]) -> Any:
        return SimpleNamespace(rejected=[Rejection(index=1, code="ON004", message="keyword is too long")])

    room.queue_videos = queue  # type: ignore[method-assign]
    file = tmp_path / "dump"
    file.write_text(json.dumps([{}, scraped_row(1), scraped_row(2)]), encoding="utf-8")
    report = await ingest_scraped_file(file, region="KR", into=room, read_at=NOW)
    assert (report.queued, report.stored) == (1, 1)
    assert [(refusal["index"], refusal["code"]) for refusal in report.refusals] == [(0, "bad_video_id"), (2, "ON004")]


async def test_the_end_of_a_run_that_cannot_be_told_hides_nothing(mock: MockBrightData, room: FakeRoom) -> None:
    async def gone(*arguments: Any, **named: Any) -> Any:
        raise UnreachableError("unreachable", url="http://x.test", problem="still gone")

    room.fail_at = "ingest"
    room.end_ingest_run = gone  # type: ignore[method-assign]
    with pytest.raises(OndolError, match="gone") as failed:
        await ingest(mock, room)
    assert "still" not in str(failed.value)


# Files


@pytest.mark.parametrize("form", ["array", "lines", "array.gz"])
async def test_a_file_of_every_form(tmp_path: Path, room: FakeRoom, form: str) -> None:
    rows = [scraped_row(number) for number in range(5)]
    body = json.dumps(rows) if form.startswith("array") else "\n".join(map(json.dumps, rows))
    file = tmp_path / "dump"
    file.write_bytes(gzip.compress(body.encode()) if form.endswith("gz") else body.encode())
    report = await ingest_scraped_file(file, region="KR", into=room, read_at=NOW)
    assert (report.received, report.queued, report.stored) == (5, 5, 5)
    assert room.steps == ["queue", "known", "ingest"]


async def test_a_dry_run_reads_and_stores_nothing(tmp_path: Path) -> None:
    file = tmp_path / "dump.json"
    file.write_text(json.dumps([scraped_row(), {}]), encoding="utf-8")
    report = await ingest_scraped_file(file, region="KR", into=None, read_at=NOW)
    assert (report.received, report.refused_count, report.queued) == (2, 1, 0)


@pytest.mark.parametrize("body", [b"[{}", gzip.compress(b"[]")[:-9], b"\x1f\x8bnot gzip"])
async def test_a_file_that_is_no_snapshot_is_one_error(tmp_path: Path, room: FakeRoom, body: bytes) -> None:
    file = tmp_path / "dump"
    file.write_bytes(body)
    with pytest.raises(DatasetError, match="is no snapshot") as refused:
        await ingest_scraped_file(file, region="KR", into=room, read_at=NOW)
    assert refused.value.next_step("en")


async def test_a_missing_file_is_one_error(tmp_path: Path, room: FakeRoom) -> None:
    with pytest.raises(DatasetError, match="is no snapshot"):
        await ingest_scraped_file(tmp_path / "none", region="KR", into=room, read_at=NOW)
